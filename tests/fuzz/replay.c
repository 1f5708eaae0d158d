/* replay.c: a fuzz target without a fuzzer: every file of the folders given is an input.  A crash, a sanitizer's report or
 * a broken expectation ends the program. */
#include "fuzz.h"

#include <dirent.h>

static int replay(const char *folder, const char *name)
{
    char  path[4096];
    FILE *file = NULL;
    if (snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path) file = fopen(path, "rb");
    fuzz_require(file);
    uint8_t *data = NULL; /* of exactly the size, so that a byte too many is found */
    long     size = -1;
    if (fseek(file, 0, SEEK_END) == 0) size = ftell(file);
    fuzz_require(size >= 0);
    rewind(file);
    data = malloc(size ? (size_t)size : 1);
    fuzz_require(data && fread(data, 1, (size_t)size, file) == (size_t)size);
    fclose(file);
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    return 1;
}

int main(int argc, char **argv)
{
    int inputs = 0;
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        fuzz_require(folder);
        for (struct dirent *entry; (entry = readdir(folder));)
            if (entry->d_name[0] != '.') inputs += replay(argv[i], entry->d_name);
        closedir(folder);
    }
    printf("%d inputs\n", inputs);
    return inputs > 0 ? 0 : 1;
}
