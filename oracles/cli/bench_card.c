/* The card's name, driver, clocks and load, read through NVML where there is one: it comes with the driver and is
 * looked for at run time, so that neither a build nor a machine needs it. Nothing is ever set. */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>
#include <time.h>

#include "oracles/cli/bench.h"

/* NVML's C interface, as far as it is used (nvml.h; all return 0 for success). */
typedef struct nvml {
    void *library, *device;
    int (*init)(void);
    int (*shutdown)(void);
    int (*device_at)(unsigned index, void **device);
    int (*name)(void *device, char *text, unsigned size);
    int (*driver)(char *text, unsigned size);
    int (*cuda)(int *version);
    int (*clock)(void *device, int kind, unsigned *mhz);
    int (*clock_max)(void *device, int kind, unsigned *mhz);
    int (*temperature)(void *device, int sensor, unsigned *celsius);
    int (*power)(void *device, unsigned *milliwatt);
    int (*utilization)(void *device, unsigned percent[2]); /* of the GPU, of its memory */
} nvml;

enum { CLOCK_SM = 1, CLOCK_MEMORY = 2, EVERY_MS = 50 };

/* A function pointer out of an object pointer, as POSIX promises and ISO C does not. */
static bool find(void *function, void *library, const char *name) {
    void *at = dlsym(library, name);
    memcpy(function, &at, sizeof at);
    return at != NULL;
}

static bool find_all(nvml *n) {
    void *l = n->library;
    return find(&n->init, l, "nvmlInit_v2") && find(&n->shutdown, l, "nvmlShutdown") &&
           find(&n->device_at, l, "nvmlDeviceGetHandleByIndex_v2") && find(&n->name, l, "nvmlDeviceGetName") &&
           find(&n->driver, l, "nvmlSystemGetDriverVersion") &&
           find(&n->cuda, l, "nvmlSystemGetCudaDriverVersion_v2") && find(&n->clock, l, "nvmlDeviceGetClockInfo") &&
           find(&n->clock_max, l, "nvmlDeviceGetMaxClockInfo") &&
           find(&n->temperature, l, "nvmlDeviceGetTemperature") && find(&n->power, l, "nvmlDeviceGetPowerUsage") &&
           find(&n->utilization, l, "nvmlDeviceGetUtilizationRates");
}

/* The card that CUDA calls 0: the first number of CUDA_VISIBLE_DEVICES, else NVML's first. */
static unsigned card_number(void) {
    const char *visible = getenv("CUDA_VISIBLE_DEVICES");
    return visible && *visible >= '0' && *visible <= '9' ? (unsigned)strtoul(visible, NULL, 10) : 0;
}

static void close_nvml(nvml *n) {
    if (n->device) n->shutdown();
    if (n->library) dlclose(n->library);
    *n = (nvml){0};
}

static bool open_nvml(nvml *n, char *why, size_t size) {
    *n = (nvml){.library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL)};
    if (!n->library)
        snprintf(why, size, "no libnvidia-ml.so.1");
    else if (!find_all(n))
        snprintf(why, size, "libnvidia-ml.so.1 lacks a function");
    else if (n->init() != 0)
        snprintf(why, size, "NVML does not start");
    else if (n->device_at(card_number(), &n->device) != 0 || !n->device) {
        snprintf(why, size, "NVML knows no card %u", card_number());
        n->device = NULL;
        n->shutdown();
    } else
        return true;
    close_nvml(n);
    return false;
}

void od_card_read(od_card *card) {
    nvml n;
    int cuda = 0;
    *card = (od_card){0};
    if (!open_nvml(&n, card->why, sizeof card->why)) return;
    card->read = true;
    if (n.name(n.device, card->name, sizeof card->name) != 0) card->name[0] = '\0';
    if (n.driver(card->driver, sizeof card->driver) != 0) card->driver[0] = '\0';
    if (n.cuda(&cuda) == 0) snprintf(card->cuda, sizeof card->cuda, "%d.%d", cuda / 1000, cuda % 1000 / 10);
    n.clock(n.device, CLOCK_SM, &card->sm_mhz);
    n.clock_max(n.device, CLOCK_SM, &card->sm_max_mhz);
    n.clock(n.device, CLOCK_MEMORY, &card->memory_mhz);
    n.temperature(n.device, 0, &card->temperature);
    n.power(n.device, &card->power_mw);
    close_nvml(&n);
}

struct od_card_watch {
    nvml n;
    thrd_t thread;
    atomic_bool stop;
    od_card_load load;
    double sum;
};

static int watch(void *arg) {
    od_card_watch *w = arg;
    while (!atomic_load(&w->stop)) {
        unsigned percent[2];
        if (w->n.utilization(w->n.device, percent) == 0) {
            w->sum += percent[0];
            w->load.n++;
            if (percent[0] > w->load.max) w->load.max = percent[0];
        }
        thrd_sleep(&(struct timespec){.tv_nsec = EVERY_MS * 1000000L}, NULL);
    }
    return 0;
}

od_card_watch *od_card_watch_start(void) {
    char why[128];
    od_card_watch *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    if (open_nvml(&w->n, why, sizeof why)) {
        if (thrd_create(&w->thread, watch, w) == thrd_success) return w;
        close_nvml(&w->n);
    }
    free(w);
    return NULL;
}

void od_card_watch_stop(od_card_load *load, od_card_watch *w) {
    *load = (od_card_load){0};
    if (!w) return;
    atomic_store(&w->stop, true);
    thrd_join(w->thread, NULL);
    *load = w->load;
    if (load->n) load->mean = w->sum / (double)load->n;
    close_nvml(&w->n);
    free(w);
}
