# What `cmake --install` brings: headers, libraries, the program, a CMake package and a pkg-config file.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Plummet)
file(RELATIVE_PATH bin_to_lib /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})
file(RELATIVE_PATH pc_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)

set_target_properties(plummet plummet_cli PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
                                                     INSTALL_RPATH $ORIGIN)
set_target_properties(plummet_cli PROPERTIES EXPORT_NAME cli)
set_target_properties(plummet-cli PROPERTIES INSTALL_RPATH $ORIGIN/${bin_to_lib})

install(TARGETS plummet plummet_cli EXPORT PlummetTargets)
install(TARGETS plummet-cli)
install(DIRECTORY include/plummet DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

# A shared library carries its dependencies along; with a static one the user's program links them.
get_target_property(library_type plummet TYPE)
if(library_type STREQUAL STATIC_LIBRARY)
    set(needs_dependencies TRUE)
    set(pc_private "")
    install(FILES cmake/Dependencies.cmake DESTINATION ${package_dir} RENAME PlummetDependencies.cmake)
else()
    set(needs_dependencies FALSE)
    set(pc_private .private)
endif()

install(EXPORT PlummetTargets NAMESPACE Plummet:: DESTINATION ${package_dir})
configure_package_config_file(cmake/PlummetConfig.cmake.in ${PROJECT_BINARY_DIR}/PlummetConfig.cmake
                              INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/PlummetConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/PlummetConfig.cmake ${PROJECT_BINARY_DIR}/PlummetConfigVersion.cmake
        DESTINATION ${package_dir})

configure_file(cmake/plummet.pc.in ${PROJECT_BINARY_DIR}/plummet.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/plummet.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
