/* Where the seconds of judging cases go, so that every run can say what it costs beyond the engines themselves. */
#ifndef OD_ORACLES_SPENT_H
#define OD_ORACLES_SPENT_H

/* Seconds of wall clock. */
typedef struct od_spent {
    double engines;    /* inside calls of the reference and the fast path, in all plays of a case */
    double arbiter;    /* everything that asking ref64 takes: its plays, the others' plays for it, their comparison */
    double generation; /* weights and series from their seeds or files; with fuzz also drawing the case */
    double judging;    /* the rest: keeping, hashing and comparing answers, the counters, the oracles */
} od_spent;

/* Seconds of a clock that only moves forward. */
double od_seconds(void);

void od_spent_add(od_spent *sum, const od_spent *more);

/* Judging over the engines' own time; 0 where no engine ran. */
double od_spent_share(const od_spent *s);

#endif
