/* mutate.h: libFuzzer's hooks for targets whose files have lengths and checksums. */
#ifndef PLM_TESTS_FUZZ_MUTATE_H
#define PLM_TESTS_FUZZ_MUTATE_H

#include <stddef.h>
#include <stdint.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);                       /* libFuzzer's own */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed); /* ours            */

#endif
