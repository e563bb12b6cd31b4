/* What is known of modules, found on this host and wanted, as JSON: the part of `holdfast modules` that needs no server. */
#ifndef INSTANCE_MODULE_SHOW_H
#define INSTANCE_MODULE_SHOW_H

#include <jansson.h>

#include "instance/module_set.h"

/* {"catalogue":[…],"wanted":[…]}; the caller's reference. */
json_t *module_show(const struct conf *conf, const struct module_set *set);

#endif
