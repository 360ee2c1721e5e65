/* A model without its numbers, so that weights from elsewhere (a checkpoint, another process) can be held against the
 * table before gigabytes are taken on their word. For readers of such; everyone else: model.h. */
#ifndef OD_MODEL_MODEL_TABLE_H
#define OD_MODEL_MODEL_TABLE_H

#include "model/model.h"

/* The table for a config, which is checked; data is NULL. od_model_destroy frees. */
enum od_status od_model_create_table(od_model **out, const od_config *config, od_error *e);

/* Takes memory for a table's numbers. With `zero` all of it is cleared, else only the gaps between tensors: the caller
 * writes the rest. */
enum od_status od_model_allocate(od_model *model, bool zero, od_error *e);

#endif
