/* Raw findings: what a worker left, before anybody looked at it again.
 *   HOME/findings/S-C.json       a case that its process judged (S: hash of the signature)
 *   HOME/errors/C.json           a case that ended in ERROR
 *   HOME/saved/LANE-KIND-….json  the flight recorder's input when the process did not end by itself
 *   HOME/artifacts/LANE-KIND-…   an input that the fuzz engine kept while the recorder had none
 * They stay where they are: what was judged is in the journal. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "fuzz/night.h"
#include "model/file.h"
#include "oracles/finding.h"

enum { LARGEST = 1 << 20 };

/* "seed N index I profile P": a case that oracle-diff fuzz drew. */
static bool is_drawn(od_case *c, const char *text) {
    unsigned long long seed, index;
    char name[32];
    enum od_profile profile;
    if (sscanf(text, "seed %llu index %llu profile %31s", &seed, &index, name) != 3) return false;
    if (od_profile_parse(&profile, name, NULL) != OD_OK) return false;
    od_case_generate(c, seed, index, profile);
    return true;
}

enum od_status od_night_raw_save(const od_night_slot *s, const char *kind, od_error *e) {
    static od_case c;
    char path[OD_NIGHT_PATH], bytes[OD_RECORD_INPUT + 1], *text = NULL;
    const od_record *r = s->record;
    const char *home = s->lane == OD_LANE_CANARY ? s->canary_home : s->home;
    size_t size = r->input_bytes < OD_RECORD_INPUT ? r->input_bytes : OD_RECORD_INPUT;
    memcpy(bytes, r->input, size);
    bytes[size] = '\0';
    bool is_case = is_drawn(&c, bytes) || od_case_parse(&c, bytes, size, s->record_path, NULL) == OD_OK;
    enum od_status status =
        od_night_path(path, sizeof path, e, "%s/saved/%s-%s-%016llx%s", home, od_night_lane_name(s->lane), kind,
                      (unsigned long long)XXH64(bytes, size, 0), is_case ? ".json" : "");
    if (status != OD_OK) return status;
    if (is_case && od_case_format(&text, &size, &c, path, NULL) != OD_OK) text = NULL;
    status = od_night_write(path, text ? text : bytes, size, e);
    free(text);
    return status;
}

/* LANE-crash-…, as -artifact_prefix has them; slow-unit-… is no finding. */
static bool is_artifact(const char *name) {
    static const char *const kinds[] = {"-crash-", "-leak-", "-timeout-", "-oom-"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strstr(name, kinds[i])) return true;
    return false;
}

unsigned od_night_raw_artifacts(const char *home) {
    char folder[OD_NIGHT_PATH], **name;
    size_t n;
    unsigned found = 0;
    if (od_night_path(folder, sizeof folder, NULL, "%s/artifacts", home) != OD_OK) return 0;
    od_night_list(&name, &n, folder);
    for (size_t i = 0; i < n; i++) found += is_artifact(name[i]);
    od_night_list_free(name, n);
    return found;
}

enum od_status od_night_raw_shelve(const char *home, od_error *e) {
    char folder[OD_NIGHT_PATH], shelf[OD_NIGHT_PATH], from[OD_NIGHT_PATH], to[OD_NIGHT_PATH], **name;
    size_t n;
    enum od_status s = od_night_path(folder, sizeof folder, e, "%s/artifacts", home);
    if (s == OD_OK) s = od_night_path(shelf, sizeof shelf, e, "%s/inputs", home);
    if (s == OD_OK) s = od_make_folder(shelf, e);
    if (s != OD_OK) return s;
    od_night_list(&name, &n, folder);
    for (size_t i = 0; i < n && s == OD_OK; i++) {
        if (!is_artifact(name[i])) continue;
        s = od_night_path(from, sizeof from, e, "%s/%s", folder, name[i]);
        if (s == OD_OK) s = od_night_path(to, sizeof to, e, "%s/%s", shelf, name[i]);
        if (s == OD_OK && rename(from, to) != 0) s = od_fail(e, OD_IO, "%.300s: cannot be moved", from);
    }
    od_night_list_free(name, n);
    return s;
}

bool od_night_raw_next(char *raw, size_t size, const od_night *n, const od_night_slot *s, bool canary) {
    static const char *const parts[] = {"findings", "errors", "saved", "artifacts"};
    bool found = false;
    for (size_t p = 0; p < sizeof parts / sizeof *parts && !found; p++) {
        char folder[OD_NIGHT_PATH], **file;
        size_t count;
        if (od_night_path(folder, sizeof folder, NULL, "%s/%s", canary ? s->canary_home : s->home, parts[p]) != OD_OK)
            return false;
        bool artifacts = strcmp(parts[p], "artifacts") == 0;
        if (artifacts && s->state == OD_SLOT_BUSY) continue; /* may be half written */
        od_night_list(&file, &count, folder);
        for (size_t i = 0; i < count && !found; i++) {
            if (artifacts && !is_artifact(file[i])) continue;
            snprintf(raw, size, "%s/%s/%s/%.255s", canary ? "canary" : "workers", s->name, parts[p], file[i]);
            found = canary || !json_object_get(n->totals.raw, raw);
        }
        od_night_list_free(file, count);
    }
    return found;
}

/* crash, hang, … of a raw finding's name, and the lane where the name says it. */
static void read_name(char *kind, size_t size, unsigned *lane, const char *raw) {
    const char *slash = strrchr(raw, '/'), *name = slash ? slash + 1 : raw;
    *lane = OD_LANES;
    snprintf(kind, size, "%s", strstr(raw, "/errors/") ? "error" : "finding");
    if (!strstr(raw, "/saved/") && !strstr(raw, "/artifacts/")) return;
    for (unsigned i = 0; i < OD_LANES; i++) {
        size_t length = strlen(od_night_lane_name(i));
        if (strncmp(name, od_night_lane_name(i), length) == 0 && name[length] == '-') *lane = i;
    }
    const char *at = strchr(name, '-');
    snprintf(kind, size, "%.*s", at ? (int)strcspn(at + 1, "-") : 0, at ? at + 1 : "");
    if (strcmp(kind, "timeout") == 0) snprintf(kind, size, "hang");
}

enum od_status od_night_raw_case(od_case *c, char *kind, size_t size, unsigned *lane, const od_night *n,
                                 const char *raw, od_error *e) {
    char path[OD_NIGHT_PATH], base[OD_NIGHT_PATH], *bytes = NULL;
    size_t length = 0;
    read_name(kind, size, lane, raw);
    enum od_status s = od_night_path(path, sizeof path, e, "%s/%s", n->o.out, raw);
    if (s == OD_OK && !strstr(raw, "/artifacts/")) return od_case_read(c, path, e);
    if (s == OD_OK) s = od_night_path(base, sizeof base, e, "%.400s/forward/input.json", n->o.corpus);
    if (s == OD_OK) s = od_file_read(&bytes, &length, path, LARGEST, e);
    /* as fuzz/mutator.c makes a case of any bytes */
    if (s == OD_OK && od_case_parse(c, bytes, length, base, NULL) != OD_OK)
        od_case_generate(c, XXH64(bytes, length, 0), 0, OD_PROFILE_RATE);
    free(bytes);
    return s;
}
