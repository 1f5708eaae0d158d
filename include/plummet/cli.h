/* cli.h: the program `plummet` as a function, so that your own architecture and optimiser can join every
 * command. */
#ifndef PLUMMET_CLI_H
#define PLUMMET_CLI_H

#include <plummet/plummet.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a network is to be like. */
typedef struct {
    int64_t classes;
    int     depth;  /* --depth  */
    int64_t width;  /* --width  */
    bool    bias;   /* --bias   */
    bool    affine; /* --affine */
} plm_arch_desc;

/* An architecture that --arch knows by name.  `build` gets the input node and returns the node of the logits. */
typedef struct {
    const char *name, *summary; /* "fcn", "fully connected: --depth, --width" */
    plm_node (*build)(plm_node x, const plm_arch_desc *desc);
    bool bias, affine; /* does it heed them?  Otherwise the options are refused */
} plm_arch;

typedef struct {
    const plm_arch *archs; /* ends with a name of NULL; NULL: none */
    /* Kinds that --optim knows by name; ends with NULL; NULL: none.  A field of the desc is an option: lr is --lr, weight_decay
     * --weight-decay, beta1 and beta2 are --betas, as of the built-in kinds; rho, which they have not, becomes --rho, in the range of its
     * bounds.  A field called like something else in config.json (epochs, layers), or not in a-z, 0-9 and _, stays at its default. */
    const plm_optimizer_kind *const *optimizers;
    /* Kinds that the networks of --weights may have; ends with NULL; NULL: none. */
    const plm_module_kind *const *modules;
} plm_cli_extra;

/* Runs one command; returns the exit status: 0, 1 (failure) or 2 (usage).  Prints to stdout and stderr. */
PLM_API int plm_main(int argc, char **argv, const plm_cli_extra *extra);

#ifdef __cplusplus
}
#endif
#endif
