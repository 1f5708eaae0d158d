/* plummet.h: everything. A deep-learning library in C: a tape, a module graph, and optimisers that read it.
 *
 *   core.h      contexts, errors, shapes, tensors        autograd.h  tape, values, parameters, backward, your own ops
 *   ops.h       differentiable functions of values       nn.h        the module graph and what can be asked of it
 *   optim.h     AGD, SGD, Adam                           data.h      data sets and loaders
 *   spectral.h  operator norms, singular values          explain.h   how AGD's step follows from the architecture
 *   train.h     the training loop and run folders        cli.h       the command line as a library
 *   module.h    kinds of module: your own in a graph
 *
 * Conventions. What `_new` returns is the caller's and is freed by `_free`, which takes NULL.  A graph owns its nodes, a
 * tape its values.  Accessors lend (`const`) until the owner changes or dies.  Descs: zero is what most callers want, NULL
 * is all defaults, the caller's pointers are not kept.  Every error is the context's one sticky error (core.h). */
#ifndef PLUMMET_PLUMMET_H
#define PLUMMET_PLUMMET_H

#include <plummet/autograd.h>
#include <plummet/core.h>
#include <plummet/data.h>
#include <plummet/explain.h>
#include <plummet/module.h>
#include <plummet/nn.h>
#include <plummet/ops.h>
#include <plummet/optim.h>
#include <plummet/spectral.h>
#include <plummet/train.h>
#include <plummet/version.h>

#endif
