/* A worker's slot: one process at a time, in slices; a watchdog that ends what hangs, stalls or grows; what came of a
 * slice, from its recorder, which survives whatever ended the process. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz/night.h"
#include "model/file.h"
#include "oracles/finding.h"

enum { STRIKES = 3 }; /* starts of a lane in a worker that fail in a row before it is given up */
static const double grace = 3, last_grace = 10, stop_grace = 5, longest_pause = 60;

static const char *home_of(const od_night_slot *s) {
    return s->lane == OD_LANE_CANARY ? s->canary_home : s->home;
}

/* ---- how it ended ------------------------------------------------------------------------------------------------ */

enum od_night_end od_night_classify(unsigned lane, int status, const od_record *r, bool artifact) {
    bool began = r && r->started > 0;
    if (WIFSIGNALED(status)) /* nobody but the system sends SIGKILL when we did not: it was out of memory */
        return WTERMSIG(status) == SIGKILL ? OD_END_OOM : WTERMSIG(status) == SIGTERM ? OD_END_STOPPED : OD_END_CRASH;
    int code = WEXITSTATUS(status);
    if (code == 0) return began ? OD_END_OK : OD_END_START;
    if (lane == OD_LANE_RANDOM || lane == OD_LANE_CANARY) {
        if (code == 1 && began) return OD_END_FINDING;
        if (code == 4 && began) return OD_END_NOTHING;
        if (!began) return OD_END_START;
        return code > 128 ? OD_END_CRASH : OD_END_OTHER;
    }
    switch (code) { /* fuzz/target_case.h; libFuzzer's */
    case 77: return OD_END_FINDING;
    case 78: return OD_END_DEVICE;
    case 79: return OD_END_CRASH;
    case 70: return OD_END_HANG;
    case 71: return OD_END_OOM;
    case 4: return began ? OD_END_NOTHING : OD_END_START;
    case 1: return artifact || began ? OD_END_SANITIZER : OD_END_START;
    default: return began ? OD_END_OTHER : OD_END_START;
    }
}

/* Is it one after which the slot pauses before it starts anew? */
static bool is_failure(enum od_night_end end) {
    return end != OD_END_OK && end != OD_END_FINDING && end != OD_END_STOPPED && end != OD_END_CUT_OFF &&
           end != OD_END_NOTHING;
}

static json_t *slice_line(const od_night_slot *s, unsigned lane, uint64_t number, double seconds, enum od_night_end end,
                          const od_record *r) {
    od_night_count c;
    od_night_count_record(&c, r);
    return json_pack("{s:s, s:s, s:s, s:I, s:f, s:s, s:o}", "worker", s->name, "device", s->device, "lane",
                     od_night_lane_name(lane), "number", (json_int_t)number, "seconds", seconds, "end",
                     od_night_end_name(end), "count", od_night_count_pack(&c));
}

static void forget_slice(od_night_slot *s, const char *home) {
    char path[OD_NIGHT_PATH];
    od_recorder_close(s->record);
    s->record = NULL;
    unlink(s->record_path);
    if (od_night_path(path, sizeof path, NULL, "%s/slice.json", home) == OD_OK) unlink(path);
}

/* Three starts in a row that fail: the lane is given up in this worker, and said. */
static void strike(od_night *n, od_night_slot *s, enum od_night_end end) {
    if (end != OD_END_START) {
        s->strikes[s->lane] = 0;
        return;
    }
    if (++s->strikes[s->lane] < STRIKES) {
        s->turn--; /* once more, before the others have their turn */
        return;
    }
    s->broken[s->lane] = true;
    od_night_say(n, "worker %s: lane %s cannot start (%d times): given up here; see %s/log.txt", s->name,
                 od_night_lane_name(s->lane), STRIKES, home_of(s));
    od_night_event(
        n, "lane",
        json_pack("{s:s, s:s, s:s}", "worker", s->name, "lane", od_night_lane_name(s->lane), "why", "cannot start"),
        true);
}

/* Input of a process that did not end by itself. What the fuzz engine kept is the same input before it was narrowed. */
static void save_input(od_night *n, od_night_slot *s, enum od_night_end end) {
    static const char *const kinds[OD_ENDS] = {
        [OD_END_CRASH] = "crash", [OD_END_HANG] = "hang", [OD_END_OOM] = "oom", [OD_END_SANITIZER] = "sanitizer"};
    od_error e;
    if (!kinds[end] || !s->record || s->record->started == s->record->finished) return;
    enum od_status status = od_night_raw_save(s, kinds[end], &e);
    if (status == OD_OK && s->lane != OD_LANE_CANARY) status = od_night_raw_shelve(s->home, &e);
    if (status != OD_OK && n->failed.status == OD_OK) n->failed = e;
}

static void end_slice(od_night *n, od_night_slot *s) {
    bool canary = s->lane == OD_LANE_CANARY, artifact = od_night_raw_artifacts(s->home) > s->artifacts;
    double now = od_seconds();
    enum od_night_end end = od_night_classify(s->lane, s->process.status, s->record, artifact);
    if (s->why != OD_END_OK)
        end = s->why; /* we ended it, and know why */
    else if (s->process.told && (end == OD_END_OTHER || end == OD_END_STOPPED || end == OD_END_NOTHING ||
                                 (end == OD_END_OOM && s->process.killed > 0)))
        end = s->record && s->record->started ? OD_END_OK : OD_END_START; /* as it was told */
    else if (s->lane == OD_LANE_RANDOM && end == OD_END_FINDING && now < s->until - 1)
        end = OD_END_DEVICE; /* it goes on with findings, but not on a device that is lost */
    if (*n->stop && !is_failure(end)) end = OD_END_STOPPED;
    save_input(n, s, end);
    od_night_event(n, "slice", slice_line(s, s->lane, s->slice, now - s->process.begun, end, s->record), true);
    if (n->failed.status != OD_OK) { /* its record stays: it is counted when the night goes on */
        s->state = OD_SLOT_DONE;
        return;
    }
    if (!canary && !*n->stop) strike(n, s, end);
    if (canary && !*n->stop) {
        char raw[OD_NIGHT_PATH];
        s->canary_raw = od_night_raw_next(raw, sizeof raw, n, s, true);
        if (!s->canary_raw) od_night_canary_tell(n, s, false, od_night_end_name(end));
    }
    s->failures = is_failure(end) && !*n->stop ? s->failures + 1 : 0;
    double pause = 0;
    if (s->failures > 0) {
        pause = 0.25 * (double)(1u << (s->failures < 9 ? s->failures : 9));
        if (pause > longest_pause) pause = longest_pause;
        od_night_say(n, "worker %s: lane %s ended: %s; begins anew in %.1f s", s->name, od_night_lane_name(s->lane),
                     od_night_end_name(end), pause);
    }
    forget_slice(s, home_of(s));
    s->slice++;
    s->state = OD_SLOT_IDLE;
    s->until = now + pause;
}

/* ---- while it runs ----------------------------------------------------------------------------------------------- */

static void end_for(od_night *n, od_night_slot *s, enum od_night_end why, const char *words) {
    if (s->process.killed > 0) return;
    s->why = why;
    od_night_say(n, "worker %s: lane %s: %s: killed", s->name, od_night_lane_name(s->lane), words);
    od_night_process_kill(&s->process);
}

static void watch(od_night *n, od_night_slot *s, double now) {
    if (!s->record) od_recorder_look(&s->record, s->record_path, NULL);
    const od_record *r = s->record;
    bool target = s->lane != OD_LANE_RANDOM && s->lane != OD_LANE_CANARY;
    /* libFuzzer's own alarm goes off first, and writes its artifact */
    double hang = n->o.hang + (target ? 0.5 * n->o.hang + 1 : 0), since = r ? now - r->since : now - s->process.begun;
    if (!r || r->started == 0) {
        if (since > n->o.start) end_for(n, s, OD_END_START, "no input within the limit of a start");
    } else if (r->started > r->finished && since > hang) {
        end_for(n, s, OD_END_HANG, "an input runs for too long");
    } else if (r->started == r->finished && since > 2 * hang) {
        end_for(n, s, OD_END_STALL, "nothing runs for too long");
    }
    if (now - s->looked > 0.5) {
        s->looked = now;
        if (od_night_process_rss(&s->process) > (n->o.rss_mb + n->o.rss_mb / 4) << 20)
            end_for(n, s, OD_END_OOM, "too much memory");
    }
    if (s->lane == OD_LANE_CANARY && !s->canary_raw) {
        char raw[OD_NIGHT_PATH];
        s->canary_raw = od_night_raw_next(raw, sizeof raw, n, s, true);
        if (s->canary_raw) od_night_process_tell(&s->process);
    }
    if (target && !s->loaded && r && r->started >= s->seeds) {
        s->loaded = true;
        if (s->until > now + n->o.slice) s->until = now + n->o.slice;
    }
    if (*n->stop && s->until > now) s->until = now;
    /* the others end by themselves */
    if (now > s->until + (target ? 0 : grace) || *n->stop) od_night_process_tell(&s->process);
    /* an input that began in time may take its time, but no longer; not where the night is stopped */
    if (s->process.told && now > s->until + (*n->stop ? stop_grace : last_grace + hang))
        od_night_process_kill(&s->process);
}

/* ---- what comes next --------------------------------------------------------------------------------------------- */

/* Lanes in turn; those given up are left out. False: none is left. */
static bool next_lane(const od_night *n, od_night_slot *s) {
    unsigned list[OD_LANES], count = 0;
    for (unsigned lane = 0; lane < OD_LANE_CANARY; lane++)
        if ((n->o.lanes >> lane & 1) && !s->broken[lane]) list[count++] = lane;
    if (count == 0) return false;
    s->lane = list[s->turn++ % count];
    return true;
}

enum od_status od_night_slot_folders(const char *home, od_error *e) {
    static const char *const parts[] = {"findings", "artifacts", "saved", "corpus"};
    char path[OD_NIGHT_PATH];
    enum od_status s = OD_OK;
    for (unsigned i = 0; s == OD_OK && i < sizeof parts / sizeof *parts; i++) {
        s = od_night_path(path, sizeof path, e, "%s/%s", home, parts[i]);
        if (s == OD_OK) s = od_make_folder(path, e);
    }
    return s;
}

static enum od_status note_slice(const od_night_slot *s, od_error *e) {
    char path[OD_NIGHT_PATH], text[256];
    enum od_status status = od_night_path(path, sizeof path, e, "%s/slice.json", home_of(s));
    if (status != OD_OK) return status;
    int size = snprintf(text, sizeof text, "{\"lane\":\"%s\",\"number\":%llu}\n", od_night_lane_name(s->lane),
                        (unsigned long long)s->slice);
    return od_night_write(path, text, (size_t)size, e);
}

/* A target plays its seeds before it makes inputs of its own: its slice begins behind them. Seeds and slice together
 * get what is a lane's fair part of the night, so that others have their turn. */
static double longest(const od_night *n) {
    double fair = 0.8 * n->fuzz_end * n->n_slot / __builtin_popcount(n->o.lanes);
    return fair > n->o.slice ? fair : n->o.slice;
}

static void start_slice(od_night *n, od_night_slot *s, double now) {
    double left = n->fuzz_end - od_night_spent(n), seconds = n->o.slice < left ? n->o.slice : left;
    od_error e;
    if (od_night_canary_due(n, s)) {
        s->lane = OD_LANE_CANARY;
        s->canary_raw = false;
        s->canaries++;
        seconds = n->o.start; /* it ends with its first finding */
        if (od_night_remove(s->canary_home, &e) != OD_OK || od_night_slot_folders(s->canary_home, &e) != OD_OK)
            n->failed = e;
    } else if (left < 0.5 || n->ending || !next_lane(n, s)) {
        s->state = OD_SLOT_DONE;
        return;
    }
    if (s->lane != OD_LANE_RANDOM && s->lane != OD_LANE_CANARY) seconds = longest(n) < left ? longest(n) : left;
    s->loaded = false;
    enum od_status status = note_slice(s, &e);
    if (status == OD_OK) status = od_night_lane_start(n, s, seconds, &e);
    if (status != OD_OK) {
        if (n->failed.status == OD_OK) n->failed = e;
        return;
    }
    s->state = OD_SLOT_BUSY;
    s->why = OD_END_OK;
    s->until = now + seconds;
    s->looked = now;
    s->artifacts = od_night_raw_artifacts(s->home);
}

void od_night_slot_turn(od_night *n, od_night_slot *s) {
    double now = od_seconds();
    if (s->state == OD_SLOT_BUSY) {
        if (od_night_process_ended(&s->process)) {
            if (!s->record) od_recorder_look(&s->record, s->record_path, NULL);
            end_slice(n, s);
        } else {
            watch(n, s, now);
        }
    }
    if (s->state != OD_SLOT_IDLE || n->failed.status != OD_OK) return;
    if (*n->stop || (n->ending && !od_night_canary_due(n, s)))
        s->state = OD_SLOT_DONE;
    else if (now >= s->until)
        start_slice(n, s, now);
}

/* ---- after a supervisor was killed ------------------------------------------------------------------------------- */

static void recover(od_night *n, od_night_slot *s, const char *home) {
    char path[OD_NIGHT_PATH], key[64], *text = NULL;
    size_t size = 0;
    if (od_night_path(path, sizeof path, NULL, "%s/slice.json", home) != OD_OK ||
        od_file_read(&text, &size, path, 4096, NULL) != OD_OK)
        return;
    json_t *j = json_loadb(text, size, 0, NULL);
    uint64_t number = (uint64_t)json_integer_value(json_object_get(j, "number"));
    unsigned lane = 0;
    while (lane < OD_LANES && strcmp(od_night_lane_name(lane), od_night_text(j, "lane")) != 0) lane++;
    json_decref(j);
    free(text);
    if (lane == OD_LANES) return;
    s->lane = lane;
    s->slice = number;
    if (od_night_path(s->record_path, sizeof s->record_path, NULL, "%s/record-%llu", home,
                      (unsigned long long)number) != OD_OK)
        return;
    od_recorder_look(&s->record, s->record_path, NULL);
    snprintf(key, sizeof key, "%s/%llu", s->name, (unsigned long long)number);
    if (!json_object_get(n->totals.slices, key)) /* else its line was the last thing that was done */
        od_night_event(n, "slice", slice_line(s, lane, number, 0, OD_END_CUT_OFF, s->record), true);
    forget_slice(s, home);
}

void od_night_slot_recover(od_night *n, od_night_slot *s) {
    recover(n, s, s->home);
    recover(n, s, s->canary_home);
    s->slice = 0; /* behind the last that the journal has */
    size_t prefix = strlen(s->name);
    const char *key;
    json_t *value;
    json_object_foreach(n->totals.slices, key, value) {
        if (strncmp(key, s->name, prefix) != 0 || key[prefix] != '/') continue;
        uint64_t number = strtoull(key + prefix + 1, NULL, 10);
        if (number >= s->slice) s->slice = number + 1;
    }
    s->turn += (unsigned)s->slice;
}
