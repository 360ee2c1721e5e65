/* NVML's functions as bench calls them, for machines without a card: a card whose figures are known. Built as
 * libnvidia-ml.so.1 and found through LD_LIBRARY_PATH. OD_FAKE_NVML=none: there is no card. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int nvmlInit_v2(void);
int nvmlShutdown(void);
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device);
int nvmlDeviceGetName(void *device, char *text, unsigned size);
int nvmlSystemGetDriverVersion(char *text, unsigned size);
int nvmlSystemGetCudaDriverVersion_v2(int *version);
int nvmlDeviceGetClockInfo(void *device, int kind, unsigned *mhz);
int nvmlDeviceGetMaxClockInfo(void *device, int kind, unsigned *mhz);
int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *celsius);
int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatt);
int nvmlDeviceGetUtilizationRates(void *device, unsigned percent[2]);

static char card;
static int open_count;
static unsigned asked;

int nvmlInit_v2(void) {
    open_count++;
    return 0;
}

int nvmlShutdown(void) {
    if (--open_count < 0) abort(); /* once for each init */
    return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    const char *none = getenv("OD_FAKE_NVML");
    if (none && strcmp(none, "none") == 0) return 6;
    *device = &card;
    return 0;
}

int nvmlDeviceGetName(void *device, char *text, unsigned size) {
    if (device != &card) abort();
    snprintf(text, size, "A Card");
    return 0;
}

int nvmlSystemGetDriverVersion(char *text, unsigned size) {
    snprintf(text, size, "580.1");
    return 0;
}

int nvmlSystemGetCudaDriverVersion_v2(int *version) {
    *version = 13010;
    return 0;
}

int nvmlDeviceGetClockInfo(void *device, int kind, unsigned *mhz) {
    *mhz = kind == 1 ? 1755 : kind == 2 ? 2619 : 0;
    return 0;
}

int nvmlDeviceGetMaxClockInfo(void *device, int kind, unsigned *mhz) {
    *mhz = kind == 1 ? 1980 : 0;
    return 0;
}

int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *celsius) {
    *celsius = 41;
    return 0;
}

int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatt) {
    *milliwatt = 70500;
    return 0;
}

/* 20, 60, 20, 60, … */
int nvmlDeviceGetUtilizationRates(void *device, unsigned percent[2]) {
    percent[0] = asked++ % 2 ? 60 : 20;
    percent[1] = 5;
    return 0;
}
