/* report.md: what ran and where, counts against their minimums, findings with the command that plays them again,
 * restarts, and what was not checked. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/night.h"
#include "model/file.h"

static void put_plan(FILE *f, const od_night_totals *t) {
    const json_t *p = t->plan, *workers = json_object_get(p, "workers"), *lanes = json_object_get(p, "lanes");
    fprintf(f, "## What ran\n\n| | |\n|---|---|\n| pair | %s |\n| reference | %s |\n| fast path | %s |\n",
            od_night_text(p, "pair"), od_night_text(p, "ref"), od_night_text(p, "fast"));
    fprintf(f,
            "| host | %s |\n| workers | %zu |\n| seed | %lld |\n| budget | %g s, %g s taken, %llu start%s |\n| lanes |",
            od_night_text(t->where, "host"), json_array_size(workers),
            (long long)json_integer_value(json_object_get(p, "seed")), json_number_value(json_object_get(p, "seconds")),
            t->spent, (unsigned long long)t->starts, t->starts == 1 ? "" : "s");
    for (size_t i = 0; i < json_array_size(lanes); i++) fprintf(f, " %s", json_string_value(json_array_get(lanes, i)));
    fprintf(f, " |\n| known issues | %s |\n", od_night_text(p, "known")[0] ? od_night_text(p, "known") : "none listed");
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(p, "programs"), key, value) {
        fprintf(f, "| program %s | XXH64 %s |\n", key, json_string_value(value));
    }
    if (od_night_text(t->where, "command")[0]) fprintf(f, "\n```sh\n%s\n```\n", od_night_text(t->where, "command"));
}

static void put_minimums(FILE *f, const od_night_totals *t) {
    unsigned asked, found;
    od_night_canary_found(t, NULL, &asked, &found);
    fprintf(f, "\n## Could it have found something?\n\n| | counted | at least | |\n|---|---:|---:|---|\n");
    for (unsigned i = 0; i < OD_LEASTS; i++) {
        uint64_t value, least;
        od_night_least_value(&value, &least, i, t);
        fprintf(f, "| %s%s | %llu | %llu | %s |\n", od_night_least_name(i),
                i == OD_LEAST_WORKER || i == OD_LEAST_LANE ? " (the poorest)" : "", (unsigned long long)value,
                (unsigned long long)least, value >= least ? "met" : "**not met**");
    }
    fprintf(f, "| canary %s | %u | %u | %s |\n", od_night_text(t->plan, "canary"), found, asked ? asked : 1,
            asked && found == asked ? "found" : "**not found**");
}

/* One row a worker's device, or a lane, or both. */
static void put_cells(FILE *f, const od_night_totals *t, bool by_device) {
    fprintf(f,
            "\n## By %s\n\n| %s | slices | s | inputs | cases | compared | replays | captures | worst use of the "
            "contract |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
            by_device ? "device" : "lane", by_device ? "device" : "lane");
    for (size_t i = 0; i < t->n_cell; i++) {
        const char *name = by_device ? t->cell[i].device : t->cell[i].lane;
        od_night_count sum;
        bool first = true;
        od_night_count_init(&sum);
        for (size_t k = 0; k < t->n_cell; k++) {
            const od_night_cell *c = &t->cell[k];
            bool canary = strcmp(c->lane, od_night_lane_name(OD_LANE_CANARY)) == 0;
            if (strcmp(by_device ? c->device : c->lane, name) != 0) continue;
            first = first && k >= i;
            if (!by_device || !canary) od_night_count_add(&sum, &c->count);
        }
        if (!first) continue;
        fprintf(f, "| %s | %llu | %.0f | %llu | %llu | %llu | %llu | %llu | ", name[0] ? name : "cpu",
                (unsigned long long)sum.slices, sum.seconds, (unsigned long long)sum.inputs,
                (unsigned long long)sum.cases, (unsigned long long)sum.compared, (unsigned long long)sum.replays,
                (unsigned long long)sum.captures);
        if (sum.worst_share == -1)
            fprintf(f, "- |\n");
        else if (isnan(sum.worst_share))
            fprintf(f, "no number |\n");
        else
            fprintf(f, "%.1f %% |\n", 100 * sum.worst_share);
    }
}

static void put_findings(FILE *f, const od_night_totals *t) {
    const char *pair = od_night_text(t->plan, "pair"), *colon = strchr(pair, ':');
    int ref = colon ? (int)(colon - pair) : 0;
    size_t n = json_array_size(t->findings);
    fprintf(f, "\n## Findings\n\n%zu, one a signature; %llu more raw ones had the same signatures.\n", n,
            (unsigned long long)t->duplicates);
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(t->findings, i), *shrunk;
        const char *file = od_night_text(one, "file"), *status = od_night_text(one, "status"),
                   *folder = strcmp(status, "error") == 0 ? "errors" : "findings";
        fprintf(f, "\n### %s: `%s`\n\n%s, %s%s%s, worker %s, raw %s\n", status, od_night_text(one, "signature"),
                od_night_text(one, "at"), od_night_text(one, "kind"), od_night_text(one, "reason")[0] ? ": " : "",
                od_night_text(one, "reason"), od_night_text(one, "worker"), od_night_text(one, "raw"));
        if (strcmp(status, "unreproduced") == 0)
            fprintf(f, "\nSeen once; it did not come when it was judged again. Kept, and counted.\n");
        if (!file[0]) continue;
        fprintf(f, "\n```sh\noracle-diff run %s/%s --isolate --ref %.*s --fast %s\n", folder, file, ref, pair,
                colon ? colon + 1 : "");
        shrunk = json_object_get(t->shrunk, file);
        if (json_is_true(json_object_get(shrunk, "smaller")))
            fprintf(f, "oracle-diff run shrunk/%s --isolate --ref %.*s --fast %s%s\n", file, ref, pair,
                    colon ? colon + 1 : "",
                    json_is_true(json_object_get(shrunk, "complete")) ? "" : "   # shrunk as far as time allowed");
        fprintf(f, "```\n");
    }
}

static void put_restarts(FILE *f, const od_night_totals *t) {
    od_night_count sum;
    od_night_sum(&sum, t);
    fprintf(f, "\n## How processes ended\n\n| reason | slices |\n|---|---:|\n");
    for (unsigned i = 0; i < OD_ENDS; i++)
        if (sum.end[i]) fprintf(f, "| %s | %llu |\n", od_night_end_name(i), (unsigned long long)sum.end[i]);
    for (size_t i = 0; i < json_array_size(t->broken); i++) {
        const json_t *one = json_array_get(t->broken, i);
        fprintf(f, "\nLane %s was given up in worker %s: %s.\n", od_night_text(one, "lane"),
                od_night_text(one, "worker"), od_night_text(one, "why"));
    }
}

static void put_nights(FILE *f, const od_night_totals *t) {
    size_t n = json_array_size(t->nights);
    if (!n) return;
    fprintf(f, "\n## Nights\n\n| night | state | exit | reasons |\n|---|---|---:|---|\n");
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(t->nights, i), *reasons = json_object_get(one, "reasons");
        fprintf(f, "| %s | %s | %lld | ", od_night_text(one, "name"), od_night_text(one, "state"),
                (long long)json_integer_value(json_object_get(one, "exit")));
        for (size_t k = 0; k < json_array_size(reasons); k++)
            fprintf(f, "%s%s", k ? "; " : "", json_string_value(json_array_get(reasons, k)));
        fprintf(f, " |\n");
    }
}

static void put_rest(FILE *f, const od_night_totals *t) {
    const char *pair = od_night_text(t->plan, "pair");
    const json_t *lanes = json_object_get(t->plan, "lanes");
    fprintf(f, "\n## Corpus\n\n");
    if (json_array_size(t->corpus) == 0) fprintf(f, "No target's corpus was renewed.\n");
    for (size_t i = 0; i < json_array_size(t->corpus); i++)
        fprintf(f, "- %s: %lld cases\n", od_night_text(json_array_get(t->corpus, i), "target"),
                (long long)json_integer_value(json_object_get(json_array_get(t->corpus, i), "files")));
    fprintf(f, "\n## What was not checked\n\n");
    if (strstr(pair, "twin"))
        fprintf(f, "- a GPU: the twin runs the fast path's logic on the CPU; races within a warp, the tensor-core "
                   "product, TF32 and cuBLAS are not seen\n");
    for (unsigned lane = 0; lane < OD_LANE_CANARY; lane++) {
        bool asked = false;
        for (size_t i = 0; i < json_array_size(lanes); i++)
            asked = asked || strcmp(json_string_value(json_array_get(lanes, i)), od_night_lane_name(lane)) == 0;
        if (!asked) fprintf(f, "- lane %s\n", od_night_lane_name(lane));
    }
    fprintf(f, "- trained weights: generated cases have random ones\n"
               "- speed; of the relations more than one a case in random and forward, four in session, three in modes\n"
               "- the parsers of bytes (fuzz_model, fuzz_case, fuzz_series): docs/fuzzing.md\n"
               "- what the canary does not show: it is one fault, met in the lane random's way\n");
    if (t->untriaged) fprintf(f, "- %llu raw findings, for want of time\n", (unsigned long long)t->untriaged);
}

enum od_status od_night_report(const od_night_totals *t, const char *title, const char *dir, od_error *e) {
    static const char *const words[] = {"green", "findings", "bad usage", "not what was asked for", "red: blind"};
    char path[OD_NIGHT_PATH], *text = NULL;
    size_t size = 0;
    json_t *reasons = NULL, *said = json_object_get(t->end, "reasons");
    int code = t->end ? (int)json_integer_value(json_object_get(t->end, "exit")) : od_night_verdict(&reasons, t);
    if (!t->end && code != OD_NIGHT_FINDING) code = OD_NIGHT_BLIND; /* what it has not done, it cannot vouch for */
    if (!said) said = reasons;
    enum od_status s = od_night_path(path, sizeof path, e, "%s/report.md", dir);
    FILE *f = s == OD_OK ? open_memstream(&text, &size) : NULL;
    if (f) {
        fprintf(f, "# %s: %s%s (exit %d)\n\n", title, t->end ? "" : "unfinished, ",
                words[code >= 0 && code <= OD_NIGHT_BLIND ? code : OD_NIGHT_BLIND], code);
        for (size_t i = 0; i < json_array_size(said); i++)
            fprintf(f, "- %s\n", json_string_value(json_array_get(said, i)));
        fprintf(f, "\n");
        put_plan(f, t);
        put_nights(f, t);
        put_minimums(f, t);
        put_cells(f, t, false);
        put_cells(f, t, true);
        put_findings(f, t);
        put_restarts(f, t);
        put_rest(f, t);
        s = od_text_close(f, &text) ? od_night_write(path, text, size, e) : OD_NO_MEMORY;
    }
    if (s == OD_OK && !f) s = OD_NO_MEMORY;
    if (s == OD_NO_MEMORY) od_fail(e, s, "no memory for a report");
    free(text);
    json_decref(reasons);
    return s;
}
