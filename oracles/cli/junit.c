/* Results as JUnit XML, kept in memory and written through a rename. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "model/file.h"
#include "model/json_memory.h"
#include "oracles/cli/cli.h"

/* XML knows neither bytes that are no UTF-8 nor U+FFFE and U+FFFF. */
static bool is_plain_text(const char *s) {
    json_t *t = json_string(s);
    json_decref(t);
    return t && !strstr(s, "\xef\xbf\xbe") && !strstr(s, "\xef\xbf\xbf");
}

static void put_escaped(FILE *f, const char *s) {
    bool plain = is_plain_text(s);
    for (; *s; s++) {
        if (!plain && (unsigned char)*s >= 0x80) {
            fputc('?', f);
            continue;
        }
        switch (*s) {
        case '&': fputs("&amp;", f); break;
        case '<': fputs("&lt;", f); break;
        case '>': fputs("&gt;", f); break;
        case '"': fputs("&quot;", f); break;
        default: fputc((unsigned char)*s < ' ' || *s == 0x7f ? ' ' : *s, f);
        }
    }
}

bool od_junit_case(od_junit *j, const char *name, const od_verdict *v, const char *command) {
    if (!j->stream) j->stream = open_memstream(&j->text, &j->size);
    FILE *f = j->stream;
    if (!f) return false;
    fputs("  <testcase classname=\"oracle-diff\" name=\"", f);
    put_escaped(f, name);
    fprintf(f, "\" time=\"%.6f\">", v->seconds);
    const char *tag = v->outcome == OD_FINDING                                  ? "failure"
                      : v->outcome == OD_ERROR || v->outcome == OD_INCONCLUSIVE ? "error"
                      : v->outcome == OD_SKIPPED                                ? "skipped"
                                                                                : NULL;
    if (tag) {
        fprintf(f, "<%s message=\"", tag);
        put_escaped(f, v->reason);
        fputs("\">", f);
        put_escaped(f, v->signature);
        fputs(v->signature[0] ? "\n" : "", f);
        char again[160];
        if (v->recheck.judged) fprintf(f, "again: %s\n", od_recheck_text(again, sizeof again, &v->recheck));
        put_escaped(f, command);
        fprintf(f, "</%s>", tag);
    }
    fputs("</testcase>\n", f);
    return !ferror(f) && !od_json_short();
}

enum od_status od_junit_write(od_junit *j, const char *path, const od_tally *t, double seconds, od_error *e) {
    if (j->stream && fflush(j->stream) != 0) return od_fail(e, OD_NO_MEMORY, "no memory for the JUnit report");
    char *whole = NULL, late[160] = "";
    const bool shifted = !od_tally_is_steady(t);
    const unsigned more = (t->expired > 0) + shifted;
    if (t->expired)
        snprintf(late, sizeof late,
                 "  <testcase classname=\"oracle-diff\" name=\"known issues\"><failure message=\"%zu "
                 "expired\"/></testcase>\n",
                 t->expired);
    int n =
        asprintf(&whole,
                 "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"oracle-diff\" tests=\"%llu\" "
                 "failures=\"%llu\" errors=\"%llu\" skipped=\"%llu\" time=\"%.3f\">\n%s%s%s</testsuite>\n",
                 (unsigned long long)t->cases + more, (unsigned long long)t->outcome[OD_FINDING] + more,
                 (unsigned long long)(t->outcome[OD_ERROR] + t->outcome[OD_INCONCLUSIVE]),
                 (unsigned long long)t->outcome[OD_SKIPPED], seconds, j->text ? j->text : "", late,
                 shifted ? "  <testcase classname=\"oracle-diff\" name=\"mean shift\"><failure message=\"a class of "
                           "tensors leans one way\"/></testcase>\n"
                         : "");
    if (n < 0) return od_fail(e, OD_NO_MEMORY, "no memory for the JUnit report");
    enum od_status s = od_file_write(path, whole, (size_t)n, e);
    free(whole);
    return s;
}

void od_junit_free(od_junit *j) {
    if (j->stream) fclose(j->stream);
    free(j->text);
    *j = (od_junit){0};
}
