/* oracle-diff: finds the command and hands over. */
#include <stdlib.h>
#include <string.h>

#include "model/heap.h"
#include "oracles/cli/cli.h"
#include "oracles/worker.h"

static const od_command *const commands[] = {
    &od_cmd_run,    &od_cmd_replay,   &od_cmd_fuzz,      &od_cmd_new,     &od_cmd_show,   &od_cmd_explain,
    &od_cmd_bisect, &od_cmd_shrink,   &od_cmd_forward,   &od_cmd_compare, &od_cmd_report, &od_cmd_list,
    &od_cmd_bench,  &od_cmd_baseline, &od_cmd_calibrate, &od_cmd_corpus,  &od_cmd_worker,
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

int od_complain(const od_error *e) {
    fprintf(stderr, "oracle-diff: %s\n", e->text);
    return e->status == OD_BAD_INPUT || e->status == OD_OK ? OD_EXIT_USAGE : OD_EXIT_ENVIRONMENT;
}

static void print_help(void) {
    printf("Usage: oracle-diff COMMAND [OPTION…] [ARGUMENT…]\n\n"
           "Runs cases through a reference and a fast path of one transformer, and judges the difference.\n\n");
    for (size_t i = 0; i < COMMANDS; i++) printf("  %-9s %s\n", commands[i]->name, commands[i]->about);
    printf("\n`oracle-diff COMMAND --help` lists a command's options.\n"
           "Exit: 0 pass; 1 a finding; 2 bad usage or input; 3 the environment lacks something, or an error;\n"
           "4 nothing was compared, a required oracle was inconclusive, or run or replay was interrupted.\n");
}

static int unknown(const char *word) {
    od_error e;
    char names[200] = "";
    for (size_t i = 0; i < COMMANDS; i++) {
        size_t at = strlen(names);
        snprintf(names + at, sizeof names - at, "%s%s", i ? ", " : "", commands[i]->name);
    }
    if (word)
        od_fail(&e, OD_BAD_INPUT, "no command is called '%s' (there are %s)", word, names);
    else
        od_fail(&e, OD_BAD_INPUT, "which command? There are %s", names);
    return od_complain(&e);
}

int main(int argc, char **argv) {
    if (argc < 2) return unknown(NULL);
    od_heap_keep();
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_help();
        return OD_EXIT_PASS;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("oracle-diff %s\n", OD_VERSION);
        return OD_EXIT_PASS;
    }
    const od_command *command = NULL;
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i]->name, argv[1]) == 0) command = commands[i];
    if (!command) return unknown(argv[1]);
    od_args args;
    od_error e = {0};
    bool helped = false;
    int code = OD_EXIT_PASS;
    if (od_args_parse(&args, command, argc, argv, &helped, &e) != OD_OK)
        code = od_complain(&e);
    else if (!helped)
        code = command->run(&args);
    if ((fflush(stdout) != 0 || ferror(stdout)) && code != OD_EXIT_FINDING) {
        od_fail(&e, OD_IO, "the standard output cannot be written");
        code = od_complain(&e);
    }
    free(args.rest);
    if (od_worker_engines_end(&e) != OD_OK) {
        const int failed = od_complain(&e);
        if (code == OD_EXIT_PASS) code = failed;
    }
    return code;
}
