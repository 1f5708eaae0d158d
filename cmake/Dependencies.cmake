# What Plummet stands on, all from the distribution: each missing one is named with the package that brings it.  The
# installed package reads this file too (static builds only), so it needs no compiler and asks for no language.
set(PLUMMET_MISSING "")

function(plummet_dependency target header library package)
    if(TARGET ${target})
        return()
    endif()
    find_path(${target}_include ${header})
    find_library(${target}_library ${library})
    mark_as_advanced(${target}_include ${target}_library)
    if(NOT ${target}_include OR NOT ${target}_library)
        set(PLUMMET_MISSING "${PLUMMET_MISSING}\n    ${header} or lib${library}: apt-get install ${package}" PARENT_SCOPE)
        return()
    endif()
    add_library(${target} INTERFACE IMPORTED GLOBAL) # global: add_subdirectory(plummet) shows them to the parent
    target_include_directories(${target} INTERFACE ${${target}_include})
    target_link_libraries(${target} INTERFACE ${${target}_library})
endfunction()

plummet_dependency(plummet_dnnl oneapi/dnnl/dnnl.h dnnl libdnnl-dev)
plummet_dependency(plummet_lapack lapacke.h lapacke "liblapacke-dev libopenblas-openmp-dev")
plummet_dependency(plummet_cjson cjson/cJSON.h cjson libcjson-dev)
plummet_dependency(plummet_zlib zlib.h z zlib1g-dev)
plummet_dependency(plummet_png png.h png libpng-dev)
plummet_dependency(plummet_jpeg jpeglib.h jpeg libjpeg-dev)

option(PLUMMET_OPENMP "threads in Plummet's own loops; oneDNN has its own either way" ON)
if(NOT TARGET plummet_openmp)
    add_library(plummet_openmp INTERFACE IMPORTED GLOBAL)
    if(PLUMMET_OPENMP)
        target_compile_options(plummet_openmp INTERFACE $<$<COMPILE_LANGUAGE:C>:-fopenmp>)
        target_link_libraries(plummet_openmp INTERFACE -fopenmp)
    else()
        # Pragmas are passed over.  The functions stay, and are GNU's: the system's oneDNN runs on that runtime, so a context's
        # thread count still holds for it; two runtimes in one program do not go well.
        foreach(kind include libgomp.so)
            execute_process(COMMAND gcc -print-file-name=${kind} OUTPUT_VARIABLE gnu_${kind} OUTPUT_STRIP_TRAILING_WHITESPACE)
        endforeach()
        # omp.h alone: clang's own headers would take others of gcc's for the C library's.
        file(COPY ${gnu_include}/omp.h DESTINATION ${CMAKE_CURRENT_BINARY_DIR}/gnu)
        target_compile_options(plummet_openmp INTERFACE -idirafter ${CMAKE_CURRENT_BINARY_DIR}/gnu -Wno-unknown-pragmas
                                                        $<$<C_COMPILER_ID:Clang>:-Wno-source-uses-openmp>)
        target_link_libraries(plummet_openmp INTERFACE ${gnu_libgomp.so})
    endif()
endif()

# Whatever LAPACK the system links at run time does the work; only OpenBLAS does it in reasonable time.
find_library(plummet_lapack_engine NAMES liblapack.so.3 lapack)
mark_as_advanced(plummet_lapack_engine)
if(plummet_lapack_engine)
    file(REAL_PATH ${plummet_lapack_engine} plummet_lapack_real)
    if(NOT plummet_lapack_real MATCHES openblas)
        message(STATUS "LAPACK is not OpenBLAS but ${plummet_lapack_real}: the initial weights of a layer of width 2048 "
                       "take seconds; apt-get install libopenblas-openmp-dev")
    endif()
endif()
