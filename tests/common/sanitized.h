/* Is this a build with AddressSanitizer? It makes the twin five times slower: suites give it fewer cases of each kind,
 * not fewer kinds. */
#ifndef OD_TESTS_COMMON_SANITIZED_H
#define OD_TESTS_COMMON_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__)
#define TEST_SANITIZED 1
#elif defined(__has_feature)
#define TEST_SANITIZED __has_feature(address_sanitizer)
#else
#define TEST_SANITIZED 0
#endif

#endif
