# -DPLUMMET_FUZZ=ON: everything is instrumented for libFuzzer, which is clang's.
if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "PLUMMET_FUZZ needs clang: cmake --preset fuzz")
endif()
# The system's oneDNN runs on GNU's OpenMP, and two runtimes in one program do not go well.  So pragmas are passed over,
# and functions, declared by clang's omp.h, are GNU's; a target runs on one thread anyway.
execute_process(COMMAND gcc -print-file-name=libgomp.so OUTPUT_VARIABLE gcc_gomp OUTPUT_STRIP_TRAILING_WHITESPACE)
add_library(plummet_openmp INTERFACE IMPORTED GLOBAL)
target_compile_options(plummet_openmp INTERFACE -Wno-source-uses-openmp -Wno-unknown-pragmas
                       -Wno-unused-but-set-variable)
target_link_libraries(plummet_openmp INTERFACE ${gcc_gomp})
add_compile_options(-fsanitize=fuzzer-no-link)
