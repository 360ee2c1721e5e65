/* metrics.prom: the state of a night in Prometheus' text format 0.0.4, rewritten as a whole every few seconds. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/night.h"
#include "model/file.h"

static void head(FILE *f, const char *name, const char *type, const char *help) {
    fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value: backslash, quote and line feed escaped. */
static void label(FILE *f, const char *name, const char *value, bool first) {
    fprintf(f, "%s%s=\"", first ? "" : ",", name);
    for (; *value; value++) {
        if (*value == '\\' || *value == '"')
            fprintf(f, "\\%c", *value);
        else if (*value == '\n')
            fputs("\\n", f);
        else
            fputc(*value, f);
    }
    fputc('"', f);
}

static void cell_labels(FILE *f, const od_night_cell *c) {
    fputc('{', f);
    label(f, "lane", c->lane, true);
    label(f, "worker", c->worker, false);
    label(f, "device", c->device[0] ? c->device : "cpu", false);
}

/* What a running process adds to its cell. */
static od_night_count live(const od_night *n, const od_night_cell *c) {
    od_night_count sum = c->count;
    for (unsigned i = 0; i < n->n_slot; i++) {
        const od_night_slot *s = &n->slot[i];
        if (s->state != OD_SLOT_BUSY || !s->record || strcmp(s->name, c->worker) != 0 ||
            strcmp(od_night_lane_name(s->lane), c->lane) != 0)
            continue;
        od_night_count one;
        od_night_count_record(&one, s->record);
        od_night_count_add(&sum, &one);
    }
    return sum;
}

typedef struct series {
    const char *name, *help;
    size_t at;
} series;
#define SERIES(f, help)                                                                                                \
    { "od_night_" #f "_total", help, offsetof(od_night_count, f) }
static const series all[] = {SERIES(inputs, "Inputs that were played to their end."),
                             SERIES(cases, "Cases that were judged."),
                             SERIES(compared, "Tensors held to the contract."),
                             SERIES(captures, "Graphs captured by the fast path."),
                             SERIES(replays, "Graphs replayed by the fast path."),
                             SERIES(unusable, "Inputs that could not be used."),
                             SERIES(slices, "Slices that ended.")};

static void put_counts(FILE *f, const od_night *n) {
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        head(f, all[k].name, "counter", all[k].help);
        for (size_t i = 0; i < n->totals.n_cell; i++) {
            od_night_count c = live(n, &n->totals.cell[i]);
            fputs(all[k].name, f);
            cell_labels(f, &n->totals.cell[i]);
            fprintf(f, "} %llu\n", (unsigned long long)*(uint64_t *)(void *)((char *)&c + all[k].at));
        }
    }
    head(f, "od_night_ends_total", "counter",
         "Processes of workers by how they ended; all but ok, finding and stopped restart.");
    for (size_t i = 0; i < n->totals.n_cell; i++) {
        for (unsigned end = 0; end < OD_ENDS; end++) {
            if (!n->totals.cell[i].count.end[end]) continue;
            fputs("od_night_ends_total", f);
            cell_labels(f, &n->totals.cell[i]);
            label(f, "reason", od_night_end_name(end), false);
            fprintf(f, "} %llu\n", (unsigned long long)n->totals.cell[i].count.end[end]);
        }
    }
}

static void put_findings(FILE *f, const od_night *n) {
    static const char *const statuses[] = {"new", "flaky", "unreproduced", "known", "error", "unreadable"};
    head(f, "od_night_findings", "gauge", "Findings, one a signature, by what judging them again came to.");
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        unsigned count = 0;
        for (size_t k = 0; k < json_array_size(n->totals.findings); k++)
            count += strcmp(od_night_text(json_array_get(n->totals.findings, k), "status"), statuses[i]) == 0;
        fprintf(f, "od_night_findings{status=\"%s\"} %u\n", statuses[i], count);
    }
    head(f, "od_night_duplicates_total", "counter", "Raw findings whose signature was there already.");
    fprintf(f, "od_night_duplicates_total %llu\n", (unsigned long long)n->totals.duplicates);
}

static void gauge(FILE *f, const char *name, const char *help, double value) {
    head(f, name, "gauge", help);
    fprintf(f, "%s %.17g\n", name, value);
}

static void put_state(FILE *f, const od_night *n) {
    od_night_count sum;
    unsigned asked, found, up = 0;
    od_night_sum(&sum, &n->totals);
    od_night_canary_found(&n->totals, NULL, &asked, &found);
    for (unsigned i = 0; i < n->n_slot; i++) up += n->slot[i].state == OD_SLOT_BUSY;
    json_t *reasons = NULL;
    int code = od_night_verdict(&reasons, &n->totals);
    json_decref(reasons);
    /* a share that is not finite is told as a thousand contracts: no number would hide it, and NaN is none */
    gauge(f, "od_night_worst_share", "Largest part of the contract that a tensor used; 1000 where it is no number.",
          isfinite(sum.worst_share) ? fmax(0, sum.worst_share) : 1000);
    gauge(f, "od_night_canaries_asked", "Canaries that were looked for.", asked);
    gauge(f, "od_night_canary_found", "1 while every canary so far was found, and there was one.",
          asked > 0 && asked == found);
    gauge(f, "od_night_workers_up", "Workers that run a process.", up);
    gauge(f, "od_night_lanes_given_up", "Lanes that could not start, over all workers.",
          (double)json_array_size(n->totals.broken));
    gauge(f, "od_night_starts", "Times that the supervisor was started on this night.", (double)n->totals.starts);
    gauge(f, "od_night_budget_seconds", "Seconds that the night may take.", n->o.seconds);
    gauge(f, "od_night_seconds", "Seconds that it has taken.", od_night_spent(n));
    gauge(f, "od_night_ended", "1 once the night has ended.", n->totals.end != NULL);
    gauge(f, "od_night_green", "1 where the night has ended green.", n->totals.end != NULL && code == OD_NIGHT_GREEN);
}

enum od_status od_night_metrics(const od_night *n, od_error *e) {
    char path[OD_NIGHT_PATH], *text = NULL;
    size_t size = 0;
    enum od_status s = od_night_path(path, sizeof path, e, "%s/metrics.prom", n->o.out);
    FILE *f = s == OD_OK ? open_memstream(&text, &size) : NULL;
    if (!f) return s == OD_OK ? od_fail(e, OD_NO_MEMORY, "no memory for metrics") : s;
    put_counts(f, n);
    put_findings(f, n);
    put_state(f, n);
    s = od_text_close(f, &text) ? od_file_write(path, text, size, e)
                                : od_fail(e, OD_NO_MEMORY, "no memory for metrics");
    free(text);
    return s;
}
