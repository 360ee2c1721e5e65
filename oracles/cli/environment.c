/* Where a run took place, for headers and findings. */
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "faults/fault.h"
#include "oracles/cli/bench.h"

static void cpu_name(char *text, size_t size) {
    snprintf(text, size, "unknown");
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[256];
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, "model name", 10) != 0) continue;
        char *value = strchr(line, ':');
        if (!value) continue;
        value[strcspn(value, "\n")] = '\0';
        snprintf(text, size, "%s", value + 1 + (value[1] == ' '));
        break;
    }
    if (f) fclose(f);
}

static const char *planted_fault(void) {
#ifdef OD_FAULTS
    if (od_fault_active() != OD_FAULT_NONE) return od_fault_name(od_fault_active());
#endif
    return "";
}

void od_environment_fill(od_environment *env) {
    *env = (od_environment){.build = OD_BUILD_TYPE, .fault = planted_fault(), .toolkit = OD_CUDA_TOOLKIT};
    struct utsname name;
    if (uname(&name) == 0) {
        snprintf(env->host, sizeof env->host, "%s", name.nodename);
        snprintf(env->os, sizeof env->os, "%.30s %.90s %.30s", name.sysname, name.release, name.machine);
    }
    cpu_name(env->cpu, sizeof env->cpu);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    env->cores = cores > 0 ? (unsigned)cores : 0;
#ifdef __clang__
    snprintf(env->compiler, sizeof env->compiler, "%s", __VERSION__);
#else
    snprintf(env->compiler, sizeof env->compiler, "gcc %s", __VERSION__);
#endif
    time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc)) strftime(env->time, sizeof env->time, "%Y-%m-%dT%H:%M:%SZ", &utc);
    snprintf(env->line, sizeof env->line, "oracle-diff %s %s, %.60s, %.60s%s%s", OD_VERSION, env->build, env->cpu,
             env->compiler, env->fault[0] ? ", planted fault " : "", env->fault);
}

void od_environment_card(od_environment *env) {
    od_card card;
    od_card_read(&card);
    snprintf(env->card, sizeof env->card, "%s", card.name);
    snprintf(env->driver, sizeof env->driver, "%s", card.driver);
}

void od_append_word(char *text, size_t size, const char *word) {
    size_t at = strlen(text);
    bool plain = word[0] && strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=./:,+@%") ==
                                strlen(word);
    if (at > 0 && at + 1 < size) text[at++] = ' ';
    if (plain) {
        snprintf(text + at, size - at, "%s", word);
        return;
    }
    bool control = false;
    for (const char *p = word; *p; p++) control = control || (unsigned char)*p < ' ' || *p == 0x7f;
    if (control && at + 1 < size) text[at++] = '$'; /* as bash and POSIX of 2024 quote what cannot be printed */
    if (at + 1 < size) text[at++] = '\'';
    for (; *word && at + 6 < size; word++) {
        if (control && ((unsigned char)*word < ' ' || *word == 0x7f || *word == '\'' || *word == '\\')) {
            at += (size_t)snprintf(text + at, 5, "\\%03o", (unsigned char)*word);
        } else if (*word == '\'') {
            memcpy(text + at, "'\\''", 4);
            at += 4;
        } else {
            text[at++] = *word;
        }
    }
    if (at + 1 < size) text[at++] = '\'';
    text[at] = '\0';
}
