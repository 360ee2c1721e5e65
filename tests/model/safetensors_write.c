/* safetensors: what is written. */
#include "model/file.h"
#include "model/safetensors.h"
#include "model/safetensors_bytes.h"
#include "model/suites.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const float floats[6] = {1, -2, 0.5f, 3e38f, -0.0f, 1e-45f};
static const double doubles[2] = {1e-300, 7};
static const uint8_t bytes3[3] = {0, 1, 255};
static const int32_t ints[1] = {-5};
static const int64_t longs[1] = {INT64_MIN};

static void fill_tensors(od_tensor t[6]) {
    od_tensor_set(&t[0], "u", OD_U8, 1, (size_t[]){3}, bytes3);
    od_tensor_set(&t[1], "f", OD_F32, 3, (size_t[]){1, 2, 3}, floats);
    od_tensor_set(&t[2], "i", OD_I32, 0, NULL, ints);
    od_tensor_set(&t[3], "d", OD_F64, 1, (size_t[]){2}, doubles);
    od_tensor_set(&t[4], "name\nwith \"odd\" \xc3\xa4", OD_I64, 1, (size_t[]){1}, longs);
    od_tensor_set(&t[5], "empty", OD_F32, 2, (size_t[]){0, 9}, NULL);
}

START_TEST(what_is_written_is_read_back_bit_for_bit) {
    const char *path = scratch("f");
    od_tensor t[6];
    od_safetensors st;
    od_error e = {OD_OK, ""};
    fill_tensors(t);
    ck_assert_msg(od_safetensors_write(path, t, 6, &e) == OD_OK, "%s", e.text);
    ck_assert_uint_eq(scratch_count(), 1);
    ck_assert_msg(od_safetensors_open(&st, path, &e) == OD_OK, "%s", e.text);
    ck_assert_uint_eq(st.n_tensor, 6);
    ck_assert_ptr_null(st.aligned); /* our own layout leaves nothing misaligned */
    for (size_t i = 0; i < 6; i++) {
        const od_tensor *r = od_safetensors_find(&st, t[i].name);
        ck_assert_ptr_nonnull(r);
        ck_assert(r->dtype == t[i].dtype && r->rank == t[i].rank);
        ck_assert_int_eq(memcmp(r->shape, t[i].shape, sizeof r->shape), 0);
        size_t size = od_tensor_bytes(r);
        if (size > 0) ck_assert_int_eq(memcmp(r->data, t[i].data, size), 0);
    }
    od_safetensors_close(&st);
}
END_TEST

/* The whole file, spelt out: wide types first, then names; the header padded to 8. */
START_TEST(the_bytes_are_those_of_the_format) {
    static const char header[] = "{" ENTRY("d", "F64", "[2]", "0", "16") "," ENTRY(
        "i", "I32", "[]", "16", "20") "," ENTRY("u", "U8", "[3]", "20", "23") "}";
    const size_t padded = (sizeof header - 1 + 7) / 8 * 8;
    od_tensor t[6], order[2][3];
    fill_tensors(t);
    order[0][0] = order[1][2] = t[0];
    order[0][1] = order[1][0] = t[2];
    order[0][2] = order[1][1] = t[3];
    for (int o = 0; o < 2; o++) {
        const char *path = scratch("f");
        char *read;
        size_t size;
        unsigned char length[8];
        ck_assert_int_eq(od_safetensors_write(path, order[o], 3, NULL), OD_OK);
        ck_assert_int_eq(od_file_read(&read, &size, path, 1000, NULL), OD_OK);
        ck_assert_uint_eq(size, 8 + padded + 23);
        put_length(length, padded);
        ck_assert_int_eq(memcmp(read, length, 8), 0);
        ck_assert_int_eq(memcmp(read + 8, header, sizeof header - 1), 0);
        for (size_t i = sizeof header - 1; i < padded; i++) ck_assert_int_eq(read[8 + i], ' ');
        ck_assert_int_eq(memcmp(read + 8 + padded, doubles, 16), 0);
        ck_assert_int_eq(memcmp(read + 8 + padded + 16, ints, 4), 0);
        ck_assert_int_eq(memcmp(read + 8 + padded + 20, bytes3, 3), 0);
        free(read);
    }
}
END_TEST

START_TEST(memory_gets_the_bytes_of_the_file) {
    od_tensor t[6];
    od_error e = {OD_OK, ""};
    void *bytes;
    char *read;
    size_t size, read_size;
    const char *path = scratch("f");
    fill_tensors(t);
    for (size_t n = 0; n <= 6; n += 3) {
        ck_assert_int_eq(od_safetensors_write(path, t, n, NULL), OD_OK);
        ck_assert_int_eq(od_file_read(&read, &read_size, path, 1000, NULL), OD_OK);
        ck_assert_msg(od_safetensors_format(&bytes, &size, t, n, "MEMORY", &e) == OD_OK, "%s", e.text);
        ck_assert_uint_eq(size, read_size);
        ck_assert_mem_eq(bytes, read, size);
        free(bytes);
        free(read);
    }
    od_tensor_set(&t[1], "u", OD_F32, 0, NULL, floats);
    bytes = &e;
    ck_assert_int_eq(od_safetensors_format(&bytes, &size, t, 6, "MEMORY", &e), OD_BAD_INPUT);
    ck_assert(bytes == NULL && size == 0);
    ck_assert_str_eq(e.text, "MEMORY: two tensors are called u");
}
END_TEST

START_TEST(bad_names_are_not_written) {
    static const char *const names[] = {"", "__metadata__", "bad\xff", "u"};
    for (size_t i = 0; i < 4; i++) {
        od_tensor t[2];
        od_error e = {OD_OK, ""};
        od_tensor_set(&t[0], "u", OD_U8, 1, (size_t[]){3}, bytes3);
        od_tensor_set(&t[1], names[i], OD_U8, 1, (size_t[]){3}, bytes3);
        ck_assert_int_eq(od_safetensors_write(scratch("f"), t, 2, &e), OD_BAD_INPUT);
        ck_assert_ptr_nonnull(strstr(e.text, "f: "));
        ck_assert_uint_eq(scratch_count(), 0);
    }
}
END_TEST

START_TEST(no_tensors_make_a_file_too) {
    const char *path = scratch("f");
    od_safetensors st;
    ck_assert_int_eq(od_safetensors_write(path, NULL, 0, NULL), OD_OK);
    ck_assert_int_eq(od_safetensors_open(&st, path, NULL), OD_OK);
    ck_assert_uint_eq(st.n_tensor, 0);
    od_safetensors_close(&st);
    ck_assert_int_eq(od_safetensors_write(scratch("none/f"), NULL, 0, NULL), OD_BAD_INPUT);
    ck_assert_uint_eq(scratch_count(), 1);
}
END_TEST

Suite *suite_safetensors_write(void) {
    Suite *s = suite_create("safetensors write");
    TCase *t = tcase_create("write");
    tcase_add_checked_fixture(t, scratch_setup, scratch_teardown);
    tcase_add_test(t, what_is_written_is_read_back_bit_for_bit);
    tcase_add_test(t, the_bytes_are_those_of_the_format);
    tcase_add_test(t, memory_gets_the_bytes_of_the_file);
    tcase_add_test(t, bad_names_are_not_written);
    tcase_add_test(t, no_tensors_make_a_file_too);
    suite_add_tcase(s, t);
    return s;
}
