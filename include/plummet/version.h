/* version.h: the version of the headers; CMake reads it from here. */
#ifndef PLUMMET_VERSION_H
#define PLUMMET_VERSION_H

#define PLM_VERSION_MAJOR 0
#define PLM_VERSION_MINOR 1
#define PLM_VERSION_PATCH 0

#endif
