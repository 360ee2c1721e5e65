/* bisect's results as JSON Lines, by oracles/bisect.schema.json. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "model/file.h"
#include "model/json_memory.h"
#include "oracles/cli/bisect.h"

enum { COMMAND = 4096 };

/* Takes over `line`; false where it could not be made or written. */
static bool put(FILE *f, json_t *line) {
    bool ok = line && !od_json_short() && json_dumpf(line, f, JSON_COMPACT | JSON_REAL_PRECISION(17)) == 0 &&
              fputc('\n', f) != EOF;
    json_decref(line);
    return ok;
}

/* {"graph": "off", …}: the switches of the set. */
static json_t *switches_json(const od_options *options, unsigned switches) {
    json_t *object = json_object();
    char value[64];
    for (unsigned i = 0; od_options_name(i); i++)
        if (switches >> i & 1)
            json_object_set_new(object, od_options_name(i),
                                json_string(od_options_value(options, i, value, sizeof value)));
    return object;
}

static bool put_header(FILE *f, const od_bisect *b, const od_args *args, const od_judge *judge, uint64_t hash) {
    static od_environment env;
    char command[COMMAND] = "", pair[64], hex[32];
    for (int i = 0; i < args->argc; i++) od_append_word(command, sizeof command, args->argv[i]);
    snprintf(pair, sizeof pair, "%.20s:%.20s", judge->setup.ref->name, judge->setup.fast->name);
    snprintf(hex, sizeof hex, "%016" PRIx64, hash);
    od_environment_fill(&env);
    return put(f,
               json_pack("{s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:f, s:i}", "type", "bisect", "format", 1,
                         "version", OD_VERSION, "command", command, "time", env.time, "case", args->rest[0], "hash",
                         hex, "pair", pair, "fault", env.fault, "options", switches_json(&b->setting[0].options, ~0u),
                         "chance", OD_BISECT_CHANCE, "limit", (int)b->limit));
}

static bool put_setting(FILE *f, const od_bisect *b, const od_bisect_setting *x) {
    static const char *const states[] = {"shows", "clean", "open"};
    json_t *turned = switches_json(&x->options, od_bisect_differing(&x->options, &b->setting[0].options));
    return put(f, json_pack("{s:s, s:o, s:s, s:i, s:i, s:i, s:s}", "type", "setting", "turned", turned, "state",
                            states[x->state], "shown", (int)x->shown, "clean", (int)x->clean, "open", (int)x->open,
                            "reason", x->reason));
}

static json_t *sets_json(const od_bisect *b, const od_bisect_set *sets, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, switches_json(&b->setting[sets[i].at].options, sets[i].switches));
    return list;
}

static bool put_answer(FILE *f, const od_bisect *b, double seconds, int code) {
    static const char *const answers[] = {"nothing", "unable", "named", "always", "unsettled", "faded"};
    const od_bisect_setting *own = &b->setting[0];
    const unsigned n = own->shown + own->clean;
    json_t *rate = n == 0 ? json_null()
                          : json_pack("{s:i, s:i, s:f, s:f}", "shown", (int)own->shown, "runs", (int)n, "low", b->low,
                                      "high", b->high);
    return put(f, json_pack("{s:s, s:s, s:s, s:o, s:i, s:o, s:o, s:o, s:b, s:i, s:f, s:i}", "type", "answer", "answer",
                            answers[b->answer], "signature", b->signature, "rate", rate, "repeats", (int)b->repeats,
                            "vanishes", sets_json(b, b->off, b->n_off), "needs", sets_json(b, b->on, b->n_on),
                            "hidden_by", sets_json(b, b->hides, b->n_hides), "limited", b->limited, "runs",
                            (int)b->runs, "seconds", seconds, "exit", code));
}

enum od_status od_bisect_write(const char *path, const od_bisect *b, const od_args *args, const od_judge *judge,
                               uint64_t hash, double seconds, int code, od_error *e) {
    FILE *f = fopen(path, "w");
    if (!f) return od_fail(e, OD_IO, "%s: cannot be written: %s", path, strerror(errno));
    bool ok = put_header(f, b, args, judge, hash);
    for (size_t i = 0; ok && i < b->n_setting; i++) ok = put_setting(f, b, &b->setting[i]);
    if (b->again.shown + b->again.clean + b->again.open > 0) ok = ok && put_setting(f, b, &b->again);
    ok = ok && put_answer(f, b, seconds, code);
    if (od_stream_close(f) && ok) return OD_OK;
    return od_fail(e, OD_IO, "%s: could not be written", path);
}
