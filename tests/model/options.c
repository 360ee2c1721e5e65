/* The switches: defaults, what is taken, what is refused and how the refusal helps. */
#include "model/options.h"
#include "model/suites.h"

#include <string.h>

static const char *const names[] = {"graph",   "cache",   "fused",    "autotune", "tf32",
                                    "threads", "streams", "captures", "order"};
enum { N = sizeof names / sizeof names[0] };

START_TEST(defaults_are_the_documented_ones) {
    static const char *const values[N] = {"on", "fixed", "off", "off", "off", "1", "2", "8", "1"};
    od_options o = od_options_default();
    char text[32];
    for (size_t i = 0; i < N; i++) {
        ck_assert_str_eq(od_options_name(i), names[i]);
        ck_assert_str_eq(od_options_value(&o, i, text, sizeof text), values[i]);
    }
    ck_assert_ptr_null(od_options_name(N));
    ck_assert(!o.hidden);
}
END_TEST

START_TEST(every_switch_takes_its_limits_and_nothing_beyond) {
    static const struct {
        const char *assignment;
        bool ok;
    } cases[] = {
        {"graph=off", true},
        {"graph=on", true},
        {"graph=1", false},
        {"graph=", false},
        {"cache=off", true},
        {"cache=dynamic", true},
        {"cache=fixed", true},
        {"cache=on", false},
        {"threads=1", true},
        {"threads=64", true},
        {"threads=0", false},
        {"threads=65", false},
        {"streams=4", true},
        {"streams=5", false},
        {"captures=1024", true},
        {"captures=1025", false},
        {"captures=0", false},
        {"order=0", true},
        {"order=9223372036854775807", true},
        {"order=9223372036854775808", false},
        {"order=18446744073709551617", false},
        {"threads=-1", false},
        {"threads=+1", false},
        {"threads= 1", false},
        {"threads=1 ", false},
        {"threads=1.0", false},
        {"threads=0x1", false},
        {"threads=4294967297", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        od_options o = od_options_default(), before = o;
        enum od_status status = od_options_set(&o, cases[i].assignment, NULL);
        ck_assert_msg((status == OD_OK) == cases[i].ok, "%s", cases[i].assignment);
        if (!cases[i].ok) ck_assert_int_eq(status, OD_BAD_INPUT);
        char a[32], b[32];
        for (size_t k = 0; !cases[i].ok && k < N; k++)
            ck_assert_str_eq(od_options_value(&o, k, a, sizeof a), od_options_value(&before, k, b, sizeof b));
    }
}
END_TEST

START_TEST(set_reaches_its_own_switch_alone) {
    static const char *const sets[N] = {"graph=off", "cache=dynamic", "fused=on",    "autotune=on",          "tf32=on",
                                        "threads=3", "streams=4",     "captures=77", "order=123456789012345"};
    od_options before = od_options_default();
    for (size_t i = 0; i < N; i++) {
        od_options o = before;
        ck_assert_int_eq(od_options_set(&o, sets[i], NULL), OD_OK);
        for (size_t k = 0; k < N; k++) {
            char a[32], b[32];
            od_options_value(&o, k, a, sizeof a);
            if (k == i)
                ck_assert_str_eq(a, strchr(sets[i], '=') + 1);
            else
                ck_assert_str_eq(a, od_options_value(&before, k, b, sizeof b));
        }
    }
}
END_TEST

START_TEST(refusals_list_what_would_be_right) {
    od_options o = od_options_default();
    od_error e;
    const char *unknown[] = {"", "=", "grap=on", "graphs=on", "hidden=on", "GRAPH=on"};
    for (size_t u = 0; u < sizeof unknown / sizeof unknown[0]; u++) {
        ck_assert_int_eq(od_options_set(&o, unknown[u], &e), OD_BAD_INPUT);
        for (size_t i = 0; i < N; i++) ck_assert_ptr_nonnull(strstr(e.text, names[i]));
    }
    ck_assert_int_eq(od_options_set(&o, "graph", &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "graph=VALUE"));
    ck_assert_int_eq(od_options_set(&o, "tf32=yes", &e), OD_BAD_INPUT);
    ck_assert(strstr(e.text, "tf32") && strstr(e.text, "yes") && strstr(e.text, "on, off"));
    ck_assert_int_eq(od_options_set(&o, "cache=none", &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "off, dynamic, fixed"));
    ck_assert_int_eq(od_options_set(&o, "threads=99", &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "1 to 64"));
}
END_TEST

START_TEST(plain_drops_what_makes_the_fast_path_fast) {
    od_options o = {.graph = true,
                    .cache = OD_CACHE_DYNAMIC,
                    .fused = true,
                    .autotune = true,
                    .tf32 = true,
                    .threads = 5,
                    .streams = 3,
                    .captures = 6,
                    .order = 7,
                    .hidden = true};
    od_options p = od_options_plain(&o);
    ck_assert(!p.graph && !p.fused && !p.autotune);
    ck_assert(p.cache == OD_CACHE_DYNAMIC && p.tf32 && p.threads == 5 && p.streams == 3 && p.captures == 6 &&
              p.order == 7 && p.hidden);
}
END_TEST

Suite *suite_options(void) {
    Suite *s = suite_create("options");
    TCase *t = tcase_create("options");
    tcase_add_test(t, defaults_are_the_documented_ones);
    tcase_add_test(t, every_switch_takes_its_limits_and_nothing_beyond);
    tcase_add_test(t, set_reaches_its_own_switch_alone);
    tcase_add_test(t, refusals_list_what_would_be_right);
    tcase_add_test(t, plain_drops_what_makes_the_fast_path_fast);
    suite_add_tcase(s, t);
    return s;
}
