/* chart.h (private): the curves of runs as SVG inside a page, coloured by the page's style. */
#ifndef CLI_CHART_H
#define CLI_CHART_H

#include "lines.h"

/* A <figure> with one curve of all lines, x = epoch + 1 on a log axis.  Each line is a <g data-line="i"> of the classes
 * k0...k4 (colour) and d0...d3 (dashes); where epochs are few each point says its numbers.  Nothing if no line has a point.
 * False: out of memory. */
bool cli_chart(FILE *file, const cli_lines *lines, const cli_curve *curve);
/* The list of lines, with buttons that hide them. */
void cli_chart_legend(FILE *file, const cli_lines *lines);

#endif
