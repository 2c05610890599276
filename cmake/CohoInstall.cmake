# What a user's own worker is built from: find_package(Coho), target Coho::worker, header <coho/coho.h>.
include_guard()
include(CMakePackageConfigHelpers)

get_property(libraries GLOBAL PROPERTY COHO_INSTALLED_LIBRARIES)
if(NOT TARGET worker)
  return()
endif()
# All that component sdk needs, and no more: hack/build release coho_sdk.
add_custom_target(coho_sdk DEPENDS ${libraries})
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/Coho")

install(TARGETS ${libraries} EXPORT CohoExports
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}/coho" COMPONENT sdk)
install(EXPORT CohoExports NAMESPACE Coho:: DESTINATION "${package_dir}" COMPONENT sdk)

# The public headers include one another as they do here, "worker/sdk/task.h", so their tree is kept.
foreach(room IN ITEMS worker/sdk common/base common/contract common/kafka common/model)
  install(DIRECTORY ${room}/ DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/coho/${room}" COMPONENT sdk
    FILES_MATCHING PATTERN "*.h")
endforeach()
file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/coho.h" CONTENT "#pragma once\n\n#include \"worker/sdk/coho.h\"\n" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/coho.h" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/coho" COMPONENT sdk)

# The libraries that Debian does not have come along, so that the installed tree needs nothing from this one.
install(DIRECTORY "${COHO_DEPS_PREFIX}/" DESTINATION "${CMAKE_INSTALL_LIBDIR}/coho/deps" COMPONENT sdk)

configure_package_config_file(cmake/CohoConfig.cmake.in "${PROJECT_BINARY_DIR}/CohoConfig.cmake"
  INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/CohoConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/CohoConfig.cmake" "${PROJECT_BINARY_DIR}/CohoConfigVersion.cmake" cmake/CohoDeps.cmake
  DESTINATION "${package_dir}" COMPONENT sdk)
