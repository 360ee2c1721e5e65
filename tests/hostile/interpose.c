/* Makes the n-th allocation of a program fail, its calendar clock run backwards, and its files change under it: a
 * library for LD_PRELOAD, under which libc's, Jansson's, libsmartcols' and OpenBLAS' allocations fail as well as the
 * program's own; or, with HOSTILE_WRAP, an object that is linked into a program with ld's --wrap (a program under ASan
 * brings its own malloc, which nothing can be preloaded before; then the program's own calls are counted, Jansson's
 * among them).
 *
 * HOSTILE_SERVE="IN OUT", two descriptors: a line "n how" from IN forks before main, and the child runs main with the
 * n-th allocation failing (n = 0: none), its stdout and stderr in files of these names. how is a sum: 1, behind it
 * there is only what is given back; 2, only the twin's device memory is counted (pieces aligned to OD_GUARD).
 * "wait-status failed calls" goes to OUT. So thousands of runs start no program anew. HOSTILE_CLOCK=1 sets the clock
 * back by an hour with each look at it. HOSTILE_AT=SUFFIX HOSTILE_DO=COMMAND runs a shell command before the first file
 * whose path ends so is opened. What the program starts is left alone. */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gpu/device/device.h"

typedef struct counts {
    atomic_ulong calls, failed;
} counts;

static counts *shared; /* the server's and the child's; NULL: nothing is to fail */
static unsigned long fail_at;
static int lasting;
static int device_alone; /* the twin's memory: a model's weights, which are aligned to less, are the host's */

/* HOSTILE_TRACE=1: where it was, on stderr */
static void trace(void) {
    void *frames[24];
    const unsigned long keep = fail_at;
    if (!getenv("HOSTILE_TRACE")) return;
    fail_at = 0;
    backtrace_symbols_fd(frames, backtrace(frames, 24), STDERR_FILENO);
    fail_at = keep;
}

/* A lasting want of memory: what is given back, and no more, can be had again. */
static atomic_long room;

static int has_room(size_t size) {
    const long left = atomic_fetch_sub(&room, (long)size);
    if (size < 1 << 30 && left >= (long)size) return 1;
    atomic_fetch_add(&room, (long)size);
    return 0;
}

static void give_back(void *block) {
    if (shared && lasting && fail_at && block && atomic_load(&shared->calls) >= fail_at)
        atomic_fetch_add(&room, (long)malloc_usable_size(block));
}

static int refuse_of(int device, size_t size) {
    if (!shared || (device_alone && !device)) return 0;
    const unsigned long n = atomic_fetch_add(&shared->calls, 1) + 1;
    if (!fail_at || n < fail_at || (n > fail_at && (!lasting || has_room(size)))) return 0;
    atomic_fetch_add(&shared->failed, 1);
    if (n == fail_at) trace();
    errno = ENOMEM;
    return 1;
}

static int refuse(size_t size) {
    return refuse_of(0, size);
}

/* What is defined here is declared by others, or by nobody. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#ifdef HOSTILE_WRAP
#define NAME(f) __wrap_##f
#define REAL(f) __real_##f
void *__real_malloc(size_t size);
void __real_free(void *block);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
int __real_vasprintf(char **out, const char *format, va_list args);
FILE *__real_open_memstream(char **text, size_t *size);
void *__real_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
int __real_main(int argc, char **argv, char **envp);
void *NAME(malloc)(size_t size);

char *NAME(strdup)(const char *s) {
    return refuse(strlen(s) + 1) ? NULL : REAL(strdup)(s);
}

char *NAME(strndup)(const char *s, size_t n) {
    return refuse(n + 1) ? NULL : REAL(strndup)(s, n);
}

int NAME(vasprintf)(char **out, const char *format, va_list args) {
    return refuse(4096) ? -1 : REAL(vasprintf)(out, format, args);
}

int NAME(asprintf)(char **out, const char *format, ...);
int NAME(asprintf)(char **out, const char *format, ...) {
    va_list args;
    if (refuse(4096)) return -1;
    va_start(args, format);
    const int n = REAL(vasprintf)(out, format, args);
    va_end(args);
    return n;
}

FILE *NAME(open_memstream)(char **text, size_t *size) {
    return refuse(8192) ? NULL : REAL(open_memstream)(text, size);
}
#else
#define NAME(f)              f
#define REAL(f)              __libc_##f
void *__libc_malloc(size_t size);
void __libc_free(void *block);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t align, size_t size);
#define __libc_aligned_alloc __libc_memalign

static void *__libc_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset) {
    return (void *)syscall(SYS_mmap, at, size, prot, flags, fd, offset);
}

int posix_memalign(void **out, size_t align, size_t size) {
    if (refuse(size)) return ENOMEM;
    *out = __libc_memalign(align, size);
    return *out ? 0 : ENOMEM;
}
#endif

void *NAME(malloc)(size_t size) {
    return refuse(size) ? NULL : REAL(malloc)(size);
}

void NAME(free)(void *block) {
    give_back(block);
    REAL(free)(block);
}

void *NAME(calloc)(size_t n, size_t size) {
    return refuse(n * size) ? NULL : REAL(calloc)(n, size);
}

void *NAME(realloc)(void *old, size_t size) {
    return refuse(size) ? NULL : REAL(realloc)(old, size);
}

void *NAME(aligned_alloc)(size_t align, size_t size) {
    return refuse_of(align == OD_GUARD, size) ? NULL : REAL(aligned_alloc)(align, size);
}

/* OpenBLAS' own buffer is given: it would ask for it forever (ref/blas.h, which looks before it, and is refused). */
void *NAME(mmap)(void *at, size_t size, int prot, int flags, int fd, off_t offset) {
    const int blas = size == 128 << 20 && !(flags & MAP_NORESERVE);
    return !blas && refuse(size) ? MAP_FAILED : REAL(mmap)(at, size, prot, flags, fd, offset);
}

/* In the child: to its own files, a limit of its time, and from here on allocations are counted. */
static void begin(unsigned long n, int how) {
    const struct rlimit cpu = {20, 20};
    static const struct {
        const char *path;
        int flags, fd;
    } streams[] = {{"/dev/null", O_RDONLY, 0},
                   {"stdout", O_WRONLY | O_CREAT | O_TRUNC, 1},
                   {"stderr", O_WRONLY | O_CREAT | O_TRUNC, 2}};
    for (int i = 0; i < 3; i++) {
        const int fd = open(streams[i].path, streams[i].flags | O_CLOEXEC, 0666);
        if (fd < 0 || dup2(fd, streams[i].fd) < 0) _exit(99);
        close(fd);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CPU, &cpu);
    atomic_store(&shared->calls, 0);
    atomic_store(&shared->failed, 0);
    fail_at = n;
    lasting = how & 1;
    device_alone = how & 2;
}

/* Comes back in each child; the server itself ends with its input. */
static void serve(const char *pipes) {
    int in, out, status;
    unsigned long n;
    int how;
    counts *both =
        (void *)syscall(SYS_mmap, NULL, sizeof *both, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (both == MAP_FAILED || sscanf(pipes, "%d %d", &in, &out) != 2) _exit(99);
    unsetenv("HOSTILE_SERVE"); /* what the program starts is left alone */
    unsetenv("LD_PRELOAD");
    FILE *f = fdopen(in, "r");
    while (f && fscanf(f, "%lu %d", &n, &how) == 2) {
        const pid_t pid = fork();
        if (pid < 0) _exit(99);
        if (pid == 0) {
            close(in);
            close(out);
            shared = both;
            begin(n, how);
            return;
        }
        if (waitpid(pid, &status, 0) != pid) _exit(99);
        dprintf(out, "%d %lu %lu\n", status, atomic_load(&both->failed), atomic_load(&both->calls));
    }
    _exit(0);
}

static void before_main(void) {
    void *frames[2];
    const char *pipes = getenv("HOSTILE_SERVE");
    backtrace(frames, 2); /* its first call allocates */
    if (pipes) serve(pipes);
}

#ifdef HOSTILE_WRAP
int __wrap_main(int argc, char **argv, char **envp);

int __wrap_main(int argc, char **argv, char **envp) {
    before_main();
    return __real_main(argc, argv, envp);
}
#else
typedef int main_function(int, char **, char **);
static main_function *true_main;

static int wrapped_main(int argc, char **argv, char **envp) {
    before_main();
    return true_main(argc, argv, envp);
}

int __libc_start_main(main_function *main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*ld_fini)(void), void *stack_end) {
    int (*next)(main_function *, int, char **, void (*)(void), void (*)(void), void (*)(void), void *);
    *(void **)&next = dlsym(RTLD_NEXT, "__libc_start_main");
    true_main = main;
    return next(wrapped_main, argc, argv, init, fini, ld_fini, stack_end);
}

/* Before SUFFIX is opened: COMMAND, once. */
static void change(const char *path) {
    static atomic_int done;
    const char *at = getenv("HOSTILE_AT"), *what = getenv("HOSTILE_DO");
    const size_t n = strlen(path), k = at ? strlen(at) : 0;
    if (!at || !what || n < k || strcmp(path + n - k, at) != 0 || atomic_exchange(&done, 1)) return;
    unsetenv("LD_PRELOAD");
    if (system(what) != 0) abort();
}

int open(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    const int mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, int) : 0;
    va_end(args);
    change(path);
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

/* An hour back with each look, from where the clock stands. */
static time_t back(void) {
    static atomic_long looks;
    return getenv("HOSTILE_CLOCK") ? 3600 * atomic_fetch_add(&looks, 1) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *t) {
    const long result = syscall(SYS_clock_gettime, clock, t);
    if (result == 0 && clock == CLOCK_REALTIME) t->tv_sec -= back();
    return (int)result;
}

time_t time(time_t *out) {
    struct timespec t = {0};
    clock_gettime(CLOCK_REALTIME, &t);
    if (out) *out = t.tv_sec;
    return t.tv_sec;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone) {
    (void)zone;
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    *t = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}
#endif
