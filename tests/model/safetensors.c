/* safetensors: what is taken and what is refused. Headers are spelt out; the golden files were written
 * by the format's own implementation. */
#include "model/safetensors.h"
#include "model/file.h"
#include "model/rng.h"
#include "model/safetensors_bytes.h"
#include "model/suites.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file as bytes in a block of exactly its size, so that a sanitizer sees every byte read too far. */
typedef struct span {
    unsigned char *bytes;
    size_t size;
} span;

static span make_raw(uint64_t announced, const char *header, size_t n_header, size_t n_data) {
    span s = {malloc(8 + n_header + n_data), 8 + n_header + n_data};
    put_length(s.bytes, announced);
    memcpy(s.bytes + 8, header, n_header);
    for (size_t i = 0; i < n_data; i++) s.bytes[8 + n_header + i] = (unsigned char)i;
    return s;
}

/* Data bytes are 0, 1, 2, … */
static span make(const char *header, size_t n_data) {
    return make_raw(strlen(header), header, strlen(header), n_data);
}

static enum od_status parse_and_close(span s, od_error *e) {
    od_safetensors st;
    memset(&st, 0xa5, sizeof st);
    enum od_status status = od_safetensors_parse(&st, s.bytes, s.size, "FILE", e);
    if (status != OD_OK) ck_assert(st.n_tensor == 0 && !st.tensors && !st.owned && !st.aligned);
    od_safetensors_close(&st);
    free(s.bytes);
    return status;
}

START_TEST(tensors_are_found_by_name_with_type_shape_and_data) {
    span s = make("{" ENTRY("b", "I32", "[2,1]", "8", "16") "," ENTRY("a", "F64", "[]", "0", "8") "," ENTRY(
                      "c", "BOOL", "[3]", "16", "19") "," ENTRY("none", "F32", "[4,0]", "16", "16") "}",
                  19);
    od_safetensors st;
    od_error e = {OD_OK, ""};
    ck_assert_msg(od_safetensors_parse(&st, s.bytes, s.size, "FILE", &e) == OD_OK, "%s", e.text);
    ck_assert_uint_eq(st.n_tensor, 4);
    for (size_t i = 1; i < 4; i++) ck_assert_int_lt(strcmp(st.tensors[i - 1].name, st.tensors[i].name), 0);
    const od_tensor *a = od_safetensors_find(&st, "a"), *b = od_safetensors_find(&st, "b");
    const od_tensor *c = od_safetensors_find(&st, "c"), *none = od_safetensors_find(&st, "none");
    ck_assert(a && a->dtype == OD_F64 && a->rank == 0);
    ck_assert(b && b->dtype == OD_I32 && b->rank == 2 && b->shape[0] == 2 && b->shape[1] == 1);
    ck_assert(c && c->dtype == OD_U8 && c->rank == 1 && c->shape[0] == 3);
    ck_assert(none && od_tensor_size(none) == 0);
    ck_assert(od_tensor_at(b, 0) == 0x0b0a0908 && od_tensor_at(b, 1) == 0x0f0e0d0c);
    ck_assert(od_tensor_at(c, 0) == 16 && od_tensor_at(c, 2) == 18);
    uint64_t bits = 0x0706050403020100;
    double want;
    memcpy(&want, &bits, sizeof want);
    ck_assert(od_tensor_at(a, 0) == want);
    ck_assert_ptr_null(od_safetensors_find(&st, "d"));
    ck_assert_ptr_null(od_safetensors_find(&st, ""));
    od_safetensors_close(&st);
    od_safetensors_close(&st); /* an empty one is fine */
    free(s.bytes);
}
END_TEST

/* Header lengths 0 … 7 mod 8, and a byte before the floats: every alignment; UBSan sees a misaligned read. */
START_TEST(misaligned_data_reads_the_same) {
    static const char header[] = "{" ENTRY("x", "U8", "[1]", "0", "1") "," ENTRY("y", "F32", "[2]", "1", "9") "," ENTRY(
        "z", "I64", "[1]", "9", "17") "}        ";
    for (size_t cut = 0; cut < 8; cut++) {
        span s = make_raw(sizeof header - 1 - cut, header, sizeof header - 1 - cut, 17);
        od_safetensors st;
        ck_assert_int_eq(od_safetensors_parse(&st, s.bytes, s.size, "FILE", NULL), OD_OK);
        for (size_t i = 0; i < 3; i++)
            ck_assert_uint_eq((uintptr_t)st.tensors[i].data % od_dtype_size(st.tensors[i].dtype), 0);
        uint32_t bits = 0x08070605;
        float y;
        memcpy(&y, &bits, sizeof y);
        ck_assert(od_tensor_at(&st.tensors[0], 0) == 0);
        ck_assert(od_tensor_at(&st.tensors[1], 1) == (double)y);
        ck_assert(((const int64_t *)st.tensors[2].data)[0] == 0x100f0e0d0c0b0a09);
        od_safetensors_close(&st);
        free(s.bytes);
    }
}
END_TEST

START_TEST(no_tensors_and_metadata_are_fine) {
    ck_assert_int_eq(parse_and_close(make("{}", 0), NULL), OD_OK);
    ck_assert_int_eq(parse_and_close(make("{}      ", 0), NULL), OD_OK);
    ck_assert_int_eq(parse_and_close(make("{\"__metadata__\":{}}", 0), NULL), OD_OK);
    span s = make("{\"__metadata__\":{\"format\":\"pt\"}," ENTRY("a", "U8", "[1]", "0", "1") "}", 1);
    od_safetensors st;
    ck_assert_int_eq(od_safetensors_parse(&st, s.bytes, s.size, "FILE", NULL), OD_OK);
    ck_assert_uint_eq(st.n_tensor, 1);
    ck_assert_ptr_null(od_safetensors_find(&st, "__metadata__"));
    od_safetensors_close(&st);
    free(s.bytes);
}
END_TEST

START_TEST(header_lengths_that_lie_are_refused) {
    static const char header[] = "{" ENTRY("a", "U8", "[4]", "0", "4") "}";
    const size_t n = sizeof header - 1;
    const uint64_t lies[] = {0,
                             1,
                             n - 1,
                             n + 1,
                             n + 4,
                             n + 5,
                             (uint64_t)1 << 32,
                             (uint64_t)1 << 63,
                             UINT64_MAX,
                             UINT64_MAX - 7,
                             100 * 1000 * 1000 + 1};
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        od_error e = {OD_OK, ""};
        ck_assert_int_eq(parse_and_close(make_raw(lies[i], header, n, 4), &e), OD_BAD_INPUT);
        ck_assert_msg(strstr(e.text, "FILE") == e.text, "%s", e.text);
    }
    ck_assert_int_eq(parse_and_close(make_raw(n, header, n, 4), NULL), OD_OK);
}
END_TEST

/* Blanks stand behind the span: a reader that believed the length would find a good header. */
START_TEST(a_header_that_ends_behind_the_span_is_refused) {
    unsigned char *block = malloc(64);
    memset(block, ' ', 64);
    memcpy(block + 8, "{}", 2);
    for (uint64_t n = 2; n <= 40; n++) {
        od_safetensors st;
        od_error e;
        put_length(block, n);
        ck_assert_int_eq(od_safetensors_parse(&st, block, 8 + 20, "FILE", &e), n == 20 ? OD_OK : OD_BAD_INPUT);
        if (n > 20) ck_assert_msg(strstr(e.text, "announces a header") != NULL, "%s", e.text);
        od_safetensors_close(&st);
    }
    free(block);
}
END_TEST

/* One byte more than the format allows, and all there. Untouched pages: it must be refused unread. */
START_TEST(a_header_longer_than_the_format_allows_is_refused) {
    size_t n = (size_t)OD_SAFETENSORS_MAX_HEADER + 1;
    unsigned char *block = calloc(1, 8 + n);
    od_safetensors st;
    od_error e;
    put_length(block, n);
    block[8] = '{';
    ck_assert_int_eq(od_safetensors_parse(&st, block, 8 + n, "FILE", &e), OD_BAD_INPUT);
    ck_assert_msg(strstr(e.text, "at most 100000000"), "%s", e.text);
    free(block);
}
END_TEST

START_TEST(every_truncation_is_refused) {
    static const char header[] = "{" ENTRY("a", "F32", "[2]", "0", "8") "}";
    span whole = make(header, 8);
    for (size_t size = 0; size < whole.size; size++) {
        span s = {malloc(size + (size == 0)), size};
        memcpy(s.bytes, whole.bytes, size);
        ck_assert_msg(parse_and_close(s, NULL) == OD_BAD_INPUT, "%zu bytes", size);
    }
    ck_assert_int_eq(parse_and_close(whole, NULL), OD_OK);
}
END_TEST

/* Each header is wrong in one way; `says` is what the message must hold. */
static const struct {
    const char *header;
    size_t n_data;
    const char *says;
} hostile[] = {
    {"[]", 0, "'{'"},
    {"3", 0, "'{'"},
    {" {}", 0, "'{'"},
    {"{", 0, "line 1"},
    {"{}x", 0, "line 1"},
    {"{\"a\":3}", 0, "tensor a"},
    {"{\"a\":null}", 0, "tensor a"},
    {"{\"a\":{}}", 0, "dtype"},
    {"{\"a\":{\"dtype\":3,\"shape\":[],\"data_offsets\":[0,4]}}", 4, "dtype"},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "shape"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "data_offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "data_offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,4]}}", 4, "data_offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":{}}}", 4, "data_offsets"},
    {"{" ENTRY("a", "BF16", "[2]", "0", "4") "}", 4, "BF16"},
    {"{" ENTRY("a", "f32", "[1]", "0", "4") "}", 4, "f32"},
    {"{" ENTRY("a", "", "[1]", "0", "4") "}", 4, "tensor a"},
    {"{" ENTRY("a", "F32", "[-1]", "0", "4") "}", 4, "shape is no list"},
    {"{" ENTRY("a", "F32", "[1.0]", "0", "4") "}", 4, "shape"},
    {"{" ENTRY("a", "F32", "[\"1\"]", "0", "4") "}", 4, "shape"},
    {"{" ENTRY("a", "F32", "1", "0", "4") "}", 4, "shape"},
    {"{" ENTRY("a", "F32", "[1,1,1,1,1,1,1]", "0", "4") "}", 4, "at most 6"},
    {"{" ENTRY("a", "F32", "[18446744073709551616]", "0", "4") "}", 4, "line 1"},
    {"{" ENTRY("a", "U8", "[4294967296,4294967296]", "0", "0") "}", 0, "overflow"},
    {"{" ENTRY("a", "U8", "[4294967296,4294967297]", "0", "1") "}", 1, "overflow"},
    {"{" ENTRY("a", "F64", "[2305843009213693952]", "0", "0") "}", 0, "overflow"},
    {"{" ENTRY("a", "F64", "[9223372036854775807,2]", "0", "0") "}", 0, "overflow"},
    {"{" ENTRY("a", "F32", "[1]", "-4", "0") "}", 4, "data_offsets is no list"},
    {"{" ENTRY("a", "F32", "[1]", "0", "4.0") "}", 4, "data_offsets"},
    {"{" ENTRY("a", "F32", "[1]", "4", "0") "}", 4, "4 to 0"},
    {"{" ENTRY("a", "F32", "[2]", "0", "8") "}", 4, "0 to 8"},
    {"{" ENTRY("a", "U8", "[9223372036854775807]", "0", "9223372036854775807") "}", 4, "9223372036854775807"},
    {"{" ENTRY("a", "F32", "[2]", "0", "4") "}", 4, "needs 8"},
    {"{" ENTRY("a", "F32", "[0]", "0", "4") "}", 4, "needs 0"},
    {"{" ENTRY("a", "F32", "[1]", "0", "4") "}", 5, "5 bytes of data"},
    {"{}", 1, "1 bytes of data"},
    {"{" ENTRY("a", "U8", "[3]", "1", "4") "}", 4, "begins at byte 1"},
    {"{" ENTRY("a", "U8", "[2]", "0", "2") "," ENTRY("b", "U8", "[1]", "3", "4") "}", 4, "tensor b"},
    {"{" ENTRY("a", "U8", "[3]", "0", "3") "," ENTRY("b", "U8", "[2]", "2", "4") "}", 4, "tensor b"},
    {"{" ENTRY("a", "U8", "[4]", "0", "4") "," ENTRY("b", "U8", "[4]", "0", "4") "}", 4, "tensor b"},
    {"{" ENTRY("a", "U8", "[4]", "0", "4") "," ENTRY("b", "U8", "[0]", "2", "2") "}", 4, "tensor b"},
    {"{" ENTRY("a", "U8", "[1]", "0", "1") "," ENTRY("a", "U8", "[1]", "0", "1") "}", 1, "line 1"},
    {"{" ENTRY("", "U8", "[1]", "0", "1") "}", 1, "name"},
    {"{" ENTRY("a\\u0000b", "U8", "[1]", "0", "1") "}", 1, "line 1"},
    {"{" ENTRY("a\xff", "U8", "[1]", "0", "1") "}", 1, "line 1"},
    {"{" ENTRY("a\n", "U8", "[1]", "0", "1") "}", 1, "line 1"},
    {"{" ENTRY("a\\nb", "U8", "[2]", "0", "1") "}", 1, "a?b"},
    {"{\"__metadata__\":[]}", 0, "__metadata__"},
    {"{\"__metadata__\":{\"k\":1}}", 0, "__metadata__"},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "line 1"},
};

START_TEST(hostile_headers_are_refused_with_a_reason) {
    od_error e = {OD_OK, ""};
    ck_assert_msg(parse_and_close(make(hostile[_i].header, hostile[_i].n_data), &e) == OD_BAD_INPUT, "%s",
                  hostile[_i].header);
    ck_assert_msg(strstr(e.text, "FILE") == e.text && strstr(e.text, hostile[_i].says), "%s\ngives: %s",
                  hostile[_i].header, e.text);
}
END_TEST

START_TEST(the_longest_name_is_taken_and_one_more_refused) {
    for (int n = OD_NAME_MAX - 1; n <= OD_NAME_MAX; n++) {
        char name[OD_NAME_MAX + 1], header[512];
        memset(name, 'n', sizeof name);
        name[n] = 0;
        snprintf(header, sizeof header, "{\"%s\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", name);
        ck_assert_int_eq(parse_and_close(make(header, 1), NULL), n < OD_NAME_MAX ? OD_OK : OD_BAD_INPUT);
    }
}
END_TEST

START_TEST(deep_nesting_is_refused) {
    enum { N = 100000 };
    char *header = malloc(N + 6);
    memcpy(header, "{\"a\":", 5);
    memset(header + 5, '[', N);
    header[N + 5] = 0;
    ck_assert_int_eq(parse_and_close(make(header, 0), NULL), OD_BAD_INPUT);
    free(header);
}
END_TEST

/* n tensors of one byte each. */
static span make_many(size_t n) {
    char *header = malloc(n * 80 + 16), *at = header;
    for (size_t i = 0; i < n; i++)
        at += sprintf(at, "%c\"t%06zu\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%zu,%zu]}", i ? ',' : '{', i,
                      n - 1 - i, n - i); /* against the order of names */
    at += sprintf(at, "}");
    span s = make(header, n);
    free(header);
    return s;
}

START_TEST(a_hundred_thousand_tensors_are_taken_and_one_more_refused) {
    span s = make_many(OD_SAFETENSORS_MAX_TENSORS);
    od_safetensors st;
    od_error e;
    ck_assert_int_eq(od_safetensors_parse(&st, s.bytes, s.size, "FILE", NULL), OD_OK);
    ck_assert_uint_eq(st.n_tensor, OD_SAFETENSORS_MAX_TENSORS);
    for (size_t i = 0; i < st.n_tensor; i += 9999) {
        char name[32];
        snprintf(name, sizeof name, "t%06zu", i);
        const od_tensor *t = od_safetensors_find(&st, name);
        ck_assert(t && od_tensor_at(t, 0) == (double)((st.n_tensor - 1 - i) % 256));
    }
    od_safetensors_close(&st);
    free(s.bytes);
    ck_assert_int_eq(parse_and_close(make_many(OD_SAFETENSORS_MAX_TENSORS + 1), &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "100001"));
}
END_TEST

/* Bytes of a good file, changed at random: taken or refused, and what is taken can be read to its end. */
START_TEST(random_damage_never_reads_outside) {
    static const char header[] = "{\"__metadata__\":{\"k\":\"v\"}," ENTRY("a", "F32", "[2,3]", "0", "24") "," ENTRY(
        "b", "U8", "[5]", "24", "29") "," ENTRY("c", "I64", "[1]", "29", "37") "}";
    static const char bytes[] = "0123456789{}[]\",:-.eFUI\\ \n\x7f\xff";
    od_rng rng = od_rng_make(20240501, 1);
    unsigned taken = 0, refused = 0;
    for (int round = 0; round < 20000; round++) {
        span s = make(header, 37);
        for (uint64_t n = od_rng_range(&rng, 1, 3); n > 0; n--) {
            const uint64_t at = od_rng_range(&rng, 0, s.size - 1);
            s.bytes[at] = (unsigned char)bytes[od_rng_range(&rng, 0, sizeof bytes - 1)];
        }
        od_safetensors st;
        if (od_safetensors_parse(&st, s.bytes, s.size, "FILE", NULL) == OD_OK) {
            double sum = 0;
            for (size_t t = 0; t < st.n_tensor; t++)
                for (size_t i = 0; i < od_tensor_size(&st.tensors[t]); i++) sum += od_tensor_at(&st.tensors[t], i);
            taken += sum == sum || sum != sum;
        } else {
            refused++;
        }
        od_safetensors_close(&st);
        free(s.bytes);
    }
    ck_assert_uint_gt(taken, 1000);
    ck_assert_uint_gt(refused, 1000);
}
END_TEST

/* Written by the Python package safetensors. Values of `in.series` and `in.id_mask` are checked by size and range. */
START_TEST(a_file_of_the_official_writer_is_read) {
    static const char path[] = OD_SOURCE_DIR "/tests/vectors/mini-base/case.safetensors";
    od_safetensors st;
    ck_assert_int_eq(od_safetensors_open(&st, path, NULL), OD_OK);
    ck_assert_uint_eq(st.n_tensor, 55);
    const od_tensor *probs = od_safetensors_find(&st, "prefill.probs"),
                    *mask = od_safetensors_find(&st, "in.padding_mask");
    ck_assert(probs && probs->dtype == OD_F64 && probs->rank == 4);
    const size_t shape[] = {1, 7, 48, 5};
    ck_assert_int_eq(memcmp(probs->shape, shape, sizeof shape), 0);
    for (size_t i = 0; i < od_tensor_size(probs); i += 5) {
        double sum = 0;
        for (size_t k = 0; k < 5; k++) sum += od_tensor_at(probs, i + k);
        ck_assert(fabs(sum - 1) <= 1e-12); /* a softmax over K */
    }
    ck_assert(mask && mask->dtype == OD_U8 && od_tensor_size(mask) == 7 * 80);
    for (size_t i = 0; i < 7 * 80; i++) ck_assert(od_tensor_at(mask, i) <= 1);
    od_safetensors_close(&st);
}
END_TEST

START_TEST(opening_what_is_not_there_or_not_ours_says_so) {
    od_safetensors st;
    od_error e;
    ck_assert_int_eq(od_safetensors_open(&st, "/nowhere/x.safetensors", &e), OD_BAD_INPUT);
    ck_assert_ptr_nonnull(strstr(e.text, "/nowhere/x.safetensors"));
    ck_assert_ptr_null(st.tensors);
    const char *path = scratch("f");
    ck_assert_int_eq(od_file_write(path, "PK\3\4 a zip file", 15, NULL), OD_OK);
    ck_assert_int_eq(od_safetensors_open(&st, path, &e), OD_BAD_INPUT);
    ck_assert(strstr(e.text, path) && !st.owned);
}
END_TEST

Suite *suite_safetensors(void) {
    Suite *s = suite_create("safetensors");
    TCase *t = tcase_create("read");
    tcase_add_checked_fixture(t, scratch_setup, scratch_teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, tensors_are_found_by_name_with_type_shape_and_data);
    tcase_add_test(t, misaligned_data_reads_the_same);
    tcase_add_test(t, no_tensors_and_metadata_are_fine);
    tcase_add_test(t, header_lengths_that_lie_are_refused);
    tcase_add_test(t, a_header_that_ends_behind_the_span_is_refused);
    tcase_add_test(t, a_header_longer_than_the_format_allows_is_refused);
    tcase_add_test(t, every_truncation_is_refused);
    tcase_add_loop_test(t, hostile_headers_are_refused_with_a_reason, 0, sizeof hostile / sizeof hostile[0]);
    tcase_add_test(t, the_longest_name_is_taken_and_one_more_refused);
    tcase_add_test(t, deep_nesting_is_refused);
    tcase_add_test(t, a_hundred_thousand_tensors_are_taken_and_one_more_refused);
    tcase_add_test(t, random_damage_never_reads_outside);
    tcase_add_test(t, a_file_of_the_official_writer_is_read);
    tcase_add_test(t, opening_what_is_not_there_or_not_ours_says_so);
    suite_add_tcase(s, t);
    return s;
}
