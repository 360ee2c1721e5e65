/* Error by stage and call, as characters and as SVG (explain.h). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "oracles/explain.h"
#include "oracles/tolerance.h"

/* A level a decade, from near_floor (a thousandth of the contract's MAE) up; the last is for what is no number. */
enum { LEVELS = 10, NO_NUMBER = LEVELS, TERMINAL_COLUMNS = 60, SVG_COLUMNS = 256 };
static const char glyphs[LEVELS + 2] = ".,:-=+*%#@!";

/* From a pale to a dark blue up to the contract's MAE, beyond it from yellow to a dark red; NaN black. */
static const char *const colours[LEVELS + 1] = {"#eef3fb", "#cfdff2", "#a3c4e6", "#fff3b0", "#ffd76b", "#ffb03b",
                                                "#f47c20", "#d94a1e", "#a81c1c", "#650d18", "#000000"};

static int level_of(double error) {
    if (!isfinite(error)) return NO_NUMBER;
    if (error <= od_bounds.near_floor) return 0;
    const int level = (int)(log10(error / od_bounds.near_floor));
    return level < LEVELS ? level : LEVELS - 1;
}

/* Calls [from, to) are column i of n_column. */
typedef struct columns {
    size_t n_column, per_column;
} columns;

static columns columns_of(const od_heat *h, size_t most) {
    const size_t per = h->n_call ? (h->n_call + most - 1) / most : 1;
    return (columns){.n_column = (h->n_call + per - 1) / per, .per_column = per};
}

/* The worst of a column's calls; not seen where none has the stage. */
static od_cell worst_of(const od_heat *h, const columns *c, size_t column, size_t stage) {
    od_cell worst = {.ref = -1, .fast = -1};
    for (size_t i = column * c->per_column; i < (column + 1) * c->per_column && i < h->n_call; i++) {
        const od_cell *cell = &h->cell[i * h->n_stage + stage];
        if (!cell->seen) continue;
        worst.ref = fmaxf(worst.ref, cell->ref);
        worst.fast = fmaxf(worst.fast, cell->fast);
        worst.seen = true;
        worst.parted = worst.parted || cell->parted;
    }
    return worst;
}

static bool row_is_empty(const od_heat *h, size_t stage) {
    for (size_t i = 0; i < h->n_call; i++)
        if (h->cell[i * h->n_stage + stage].seen) return false;
    return true;
}

/* A mark for each column: a prefill, or the first call that parts. */
static char head_mark(const od_explanation *x, const columns *c, size_t column) {
    const size_t from = column * c->per_column, to = from + c->per_column;
    if (x->first.found && x->first.call >= from && x->first.call < to) return 'v';
    for (size_t i = from; i < to && i < x->heat.n_call; i++)
        if (x->heat.place[i].step == 0) return 'P';
    return ' ';
}

enum { DISTANCE = 16 };

static const char *distance(char text[DISTANCE], float mae, int digits) {
    if (!isfinite(mae)) return "no number";
    snprintf(text, DISTANCE, "%.*e", digits, (double)mae);
    return text;
}

/* Both distances of a stage, in the first call that parts or else the largest. */
static void print_numbers(FILE *f, const od_explanation *x, size_t stage) {
    const od_heat *h = &x->heat;
    const columns all = {.n_column = 1, .per_column = h->n_call};
    const od_cell cell = x->first.found ? h->cell[x->first.call * h->n_stage + stage] : worst_of(h, &all, 0, stage);
    char fast[DISTANCE], ref[DISTANCE];
    if (!cell.seen) return;
    fprintf(f, " %9s %9s%s", distance(fast, cell.fast, 1), distance(ref, cell.ref, 1),
            x->first.found && x->first.stage == stage ? " <" : "");
}

bool od_heat_print(FILE *f, const od_explanation *x, bool of_ref) {
    const od_heat *h = &x->heat;
    const columns c = columns_of(h, TERMINAL_COLUMNS);
    char text[40];
    fprintf(f, "mean distance of the %s from float64: '%c' below %.0e, then a decade each %.*s '%c' NaN\na column is ",
            of_ref ? "reference" : "fast path", glyphs[0], 10 * od_bounds.near_floor, LEVELS - 1, glyphs + 1,
            glyphs[NO_NUMBER]);
    if (c.per_column == 1)
        fputs("a call", f);
    else
        fprintf(f, "the worst of %zu calls", c.per_column);
    fprintf(f, ", P has a prefill, v is where the engines part first\n%-15s ", "");
    for (size_t k = 0; k < c.n_column; k++) fputc(head_mark(x, &c, k), f);
    fputs("   FAST PATH REFERENCE\n", f);
    for (size_t stage = 0; stage < h->n_stage; stage++) {
        if (row_is_empty(h, stage)) continue;
        fprintf(f, "%-15s|", od_stage_text(text, sizeof text, &x->script->model->config, stage));
        for (size_t k = 0; k < c.n_column; k++) {
            const od_cell cell = worst_of(h, &c, k, stage);
            fputc(cell.seen ? glyphs[level_of(of_ref ? cell.ref : cell.fast)] : ' ', f);
        }
        fputs("|", f);
        print_numbers(f, x, stage);
        fputc('\n', f);
    }
    return ferror(f) == 0;
}

/* ---- SVG --------------------------------------------------------------------------------------------------------- */

enum { LEFT = 120, TOP = 64, HIGH = 20, FOOT = 84 };

static void put_escaped(FILE *f, const char *text) {
    for (; *text; text++) switch (*text) {
        case '&': fputs("&amp;", f); break;
        case '<': fputs("&lt;", f); break;
        case '>': fputs("&gt;", f); break;
        default: fputc((unsigned char)*text < ' ' ? '?' : *text, f);
        }
}

static void put_legend(FILE *f, size_t y) {
    for (int i = 0; i <= LEVELS; i++) {
        fprintf(f, "<rect x=\"%d\" y=\"%zu\" width=\"44\" height=\"12\" fill=\"%s\" stroke=\"#999\"/>\n", LEFT + 44 * i,
                y, colours[i]);
        fprintf(f, "<text x=\"%d\" y=\"%zu\">", LEFT + 44 * i, y + 26);
        if (i == NO_NUMBER)
            fputs("NaN, Inf</text>\n", f);
        else if (i == 0)
            fputs("less</text>\n", f);
        else
            fprintf(f, "%.0e</text>\n", od_bounds.near_floor * pow(10, i));
    }
}

/* Round the cell where the engines part first; drawn last, over its neighbours. */
static void put_frame(FILE *f, const od_explanation *x, const columns *c, size_t row, double wide) {
    fprintf(f,
            "<rect x=\"%.2f\" y=\"%zu\" width=\"%.2f\" height=\"%d\" fill=\"none\" stroke=\"#00a040\" "
            "stroke-width=\"3\"/>\n",
            LEFT + wide * (double)(x->first.call / c->per_column), TOP + HIGH * row, wide, HIGH);
}

static void put_cell(FILE *f, const od_explanation *x, const columns *c, size_t column, size_t row, size_t stage,
                     double wide, bool of_ref) {
    const od_heat *h = &x->heat;
    const od_cell cell = worst_of(h, c, column, stage);
    char name[40], place[96], fast[DISTANCE], ref[DISTANCE];
    if (!cell.seen) return;
    fprintf(f, "<rect x=\"%.2f\" y=\"%zu\" width=\"%.2f\" height=\"%d\" fill=\"%s\"><title>",
            LEFT + wide * (double)column, TOP + HIGH * row, wide, HIGH,
            colours[level_of(of_ref ? cell.ref : cell.fast)]);
    fprintf(f, "%s, %s%s: fast path %s, reference %s%s</title></rect>\n",
            od_stage_text(name, sizeof name, &x->script->model->config, stage),
            od_call_place_text(place, sizeof place, &h->place[column * c->per_column]),
            c->per_column > 1 ? " and on" : "", distance(fast, cell.fast, 2), distance(ref, cell.ref, 2),
            cell.parted ? ", parts" : "");
}

bool od_heat_svg(FILE *f, const od_explanation *x, bool of_ref, const char *title) {
    const od_heat *h = &x->heat;
    const columns c = columns_of(h, SVG_COLUMNS);
    const double wide = c.n_column <= 32 ? 24 : 768.0 / (double)c.n_column;
    size_t rows = 0, first_row = 0;
    char name[40];
    for (size_t stage = 0; stage < h->n_stage; stage++) rows += !row_is_empty(h, stage);
    const size_t foot = TOP + HIGH * rows;
    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"920\" height=\"%zu\" font-family=\"sans-serif\" "
            "font-size=\"11\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n<text x=\"10\" y=\"20\" "
            "font-size=\"13\">",
            foot + FOOT);
    put_escaped(f, title);
    fprintf(f, "</text>\n<text x=\"10\" y=\"40\">mean distance of the %s from float64, stages down, calls across",
            of_ref ? "reference" : "fast path");
    if (c.per_column > 1) fprintf(f, " (the worst of %zu each)", c.per_column);
    fputs("; framed: where the engines part first</text>\n", f);
    for (size_t stage = 0, row = 0; stage < h->n_stage; stage++) {
        if (row_is_empty(h, stage)) continue;
        fprintf(f, "<text x=\"10\" y=\"%zu\">%s</text>\n", TOP + HIGH * row + 14,
                od_stage_text(name, sizeof name, &x->script->model->config, stage));
        for (size_t k = 0; k < c.n_column; k++) put_cell(f, x, &c, k, row, stage, wide, of_ref);
        if (x->first.found && x->first.stage == stage) first_row = row;
        row++;
    }
    if (x->first.found) put_frame(f, x, &c, first_row, wide);
    for (size_t k = 0; k < c.n_column; k++) {
        const char mark = head_mark(x, &c, k);
        if (mark != ' ') fprintf(f, "<text x=\"%.2f\" y=\"%d\">%c</text>\n", LEFT + wide * (double)k, TOP - 6, mark);
    }
    put_legend(f, foot + 24);
    fputs("</svg>\n", f);
    return ferror(f) == 0;
}
