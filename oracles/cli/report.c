/* report: result files → DIR/report.md. */
#include <stdlib.h>
#include <string.h>

#include "model/file.h"
#include "oracles/cli/cli.h"
#include "oracles/finding.h"
#include "oracles/report.h"

static int run(const od_args *args) {
    od_error e = {0};
    char *text = NULL, path[1024];
    enum od_status s = OD_OK;
    if (args->n_rest == 0) s = od_fail(&e, OD_BAD_INPUT, "report: which results? Give at least one file of --json");
    if (s == OD_OK && !args->out) s = od_fail(&e, OD_BAD_INPUT, "report: --out DIR is missing");
    if (s == OD_OK && strlen(args->out) > sizeof path - 32)
        s = od_fail(&e, OD_BAD_INPUT, "--out: the path is too long");
    if (s == OD_OK) s = od_report_markdown(&text, args->rest, args->n_rest, &e);
    if (s == OD_OK) s = od_make_folder(args->out, &e);
    if (s == OD_OK) {
        snprintf(path, sizeof path, "%s/report.md", args->out);
        s = od_file_write(path, text, strlen(text), &e);
    }
    if (s == OD_OK) printf("%s: %.*s\n", path, (int)strcspn(text, "\n"), text);
    free(text);
    return s == OD_OK ? OD_EXIT_PASS : od_complain(&e);
}

static const struct argp_option options[] = {
    {"out", OD_KEY_OUT, "DIR", 0, "Folder for report.md; made where it is missing", 0}, {0}};

const od_command od_cmd_report = {.name = "report",
                                  .usage = "FILE.jsonl…",
                                  .about = "Make a Markdown report from results",
                                  .options = options,
                                  .run = run};
