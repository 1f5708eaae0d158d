/* main.c: the program. */
#include <plummet/cli.h>

int main(int argc, char **argv)
{
    return plm_main(argc, argv, NULL);
}
