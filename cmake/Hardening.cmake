# What makes a memory error end the program instead of becoming an exploit: calls with checked bounds, guarded stacks, tables
# that are read-only after the start, targets of jumps that are marked.  For optimised builds of the library and the program;
# tests/tools/test_hardened looks at the result.  What is linked with Plummet keeps its own flags.
option(PLUMMET_HARDEN "hardened flags in optimised builds" ON)

include(CheckCCompilerFlag)
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)

set(plummet_hard_compile "")
set(plummet_hard_link "")
if(PLUMMET_HARDEN)
    set(CMAKE_REQUIRED_FLAGS -Werror) # clang takes another processor's flag with a warning
    foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection -mbranch-protection=standard)
        string(MAKE_C_IDENTIFIER "plummet_has${flag}" has)
        check_c_compiler_flag(${flag} ${has})
        if(${has})
            list(APPEND plummet_hard_compile ${flag})
        endif()
    endforeach()
    # Level 3 knows sizes that are computed at run time; an older compiler or C library says that it has only 2.
    set(CMAKE_REQUIRED_FLAGS "-O2 -Werror")
    check_c_compiler_flag("-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -include stdio.h" plummet_has_fortify_3)
    unset(CMAKE_REQUIRED_FLAGS)
    set(level 2)
    if(plummet_has_fortify_3)
        set(level 3)
    endif()
    list(APPEND plummet_hard_compile -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=${level})
    set(plummet_hard_link -Wl,-z,relro -Wl,-z,now)
endif()

function(plummet_harden target)
    set(optimised "$<CONFIG:Release,RelWithDebInfo,MinSizeRel>")
    target_compile_options(${target} PRIVATE "$<${optimised}:${plummet_hard_compile}>")
    target_link_options(${target} PRIVATE "$<${optimised}:${plummet_hard_link}>")
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden)
endfunction()
