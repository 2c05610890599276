# What a folder's CMakeLists.txt is written with. A folder is one library whose name is its path with underscores:
#
#   coho_library(common_kafka
#     SOURCES client.cc producer.cc
#     DEPS common_base                     # whose headers our headers include
#     PRIVATE_DEPS RdKafka::rdkafka)       # whose headers only our sources include
#   coho_binary(coho-worker SOURCES main.cc DEPS worker)
#   coho_test(common_base_test SOURCES status_test.cc ids_test.cc DEPS common_base LABELS unit [TIMEOUT 60] [ARGS …])
#
# Sources include by path from the repository's root: #include "common/base/status.h".
include_guard()
include(GNUInstallDirs)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

option(COHO_WERROR "Warnings in our own code are errors" ON)
set(COHO_SANITIZE "" CACHE STRING "What -fsanitize= gets: empty, address,undefined or thread")

find_program(COHO_CCACHE ccache)
if(COHO_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${COHO_CCACHE}")
endif()

# RocksDB makes every binary large; mold links it in a fraction of the default linker's time.
find_program(COHO_MOLD mold)
if(COHO_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# GCC 12 warns wrongly of std::string concatenation (-Wrestrict), of std::optional (-Wmaybe-uninitialized) and of
# designated initializers that leave members to their defaults (-Wmissing-field-initializers).
add_library(coho_warnings INTERFACE)
target_compile_options(coho_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion
  -Wno-missing-field-initializers
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>
  $<$<BOOL:${COHO_WERROR}>:-Werror>)

if(COHO_SANITIZE)
  add_compile_options(-fsanitize=${COHO_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${COHO_SANITIZE})
  if(COHO_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
endif()

# What runs with sanitizers, too. coho_tests_TIER is what a tier runs; coho_configured is nothing, for who needs only the
# configuration.
add_custom_target(coho_sanitized_tests)
add_custom_target(coho_configured)

function(coho_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPS;PRIVATE_DEPS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "coho_library(${name}): unexpected ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(arg_SOURCES)
    set(public PUBLIC)
    add_library(${name} STATIC ${arg_SOURCES})
    target_link_libraries(${name} PRIVATE $<BUILD_INTERFACE:coho_warnings> ${arg_PRIVATE_DEPS})
  else()
    set(public INTERFACE)
    add_library(${name} INTERFACE)
  endif()
  add_library(Coho::${name} ALIAS ${name})
  target_link_libraries(${name} ${public} ${arg_DEPS})
  target_compile_features(${name} ${public} cxx_std_20)
  target_include_directories(${name} ${public} "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>"
    "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR};${CMAKE_INSTALL_INCLUDEDIR}/coho>")

  # What the worker is made of is installed for users' own binaries; see CohoInstall.cmake.
  if(CMAKE_CURRENT_SOURCE_DIR MATCHES "^${PROJECT_SOURCE_DIR}/(common|worker)(/|$)")
    set_property(GLOBAL APPEND PROPERTY COHO_INSTALLED_LIBRARIES ${name})
  endif()
endfunction()

function(coho_binary name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "coho_binary(${name}): unexpected ${arg_UNPARSED_ARGUMENTS}")
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE coho_warnings ${arg_DEPS})
  # A sanitizer brings an allocator of its own.
  if(NOT COHO_SANITIZE)
    target_link_libraries(${name} PRIVATE coho::jemalloc)
  endif()
endfunction()

# One ctest test per binary. LABELS names the tier: unit, simulation, integration, cluster.
function(coho_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "SOURCES;DEPS;LABELS;ARGS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "coho_test(${name}): unexpected ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  if(NOT arg_TIMEOUT)
    if("unit" IN_LIST arg_LABELS)
      set(arg_TIMEOUT 120)
    else()
      set(arg_TIMEOUT 900)
    endif()
  endif()
  if(NOT TARGET coho_test_main)
    file(GENERATE OUTPUT "${PROJECT_BINARY_DIR}/doctest_main.cc"
         CONTENT "#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN\n#include <doctest/doctest.h>\n")
    add_library(coho_test_main STATIC "${PROJECT_BINARY_DIR}/doctest_main.cc")
    target_link_libraries(coho_test_main PUBLIC doctest::doctest)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE coho_warnings coho_test_main ${arg_DEPS})
  if("unit" IN_LIST arg_LABELS OR "simulation" IN_LIST arg_LABELS)
    add_dependencies(coho_sanitized_tests ${name})
  endif()
  foreach(tier IN LISTS arg_LABELS)
    if(NOT TARGET coho_tests_${tier})
      add_custom_target(coho_tests_${tier})
    endif()
    add_dependencies(coho_tests_${tier} ${name})
  endforeach()
  add_test(NAME ${name} COMMAND ${name} ${arg_ARGS} WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT}
    ENVIRONMENT "TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/cmake/tsan.supp:halt_on_error=1")
  if("integration" IN_LIST arg_LABELS)
    coho_uses_broker(${name})
  endif()
endfunction()

# Tests with a broker wait more than they compute: one of them runs at a time, beside those that compute. All are over before the
# cluster's tests, which take the broker down.
function(coho_uses_broker)
  set_tests_properties(${ARGN} PROPERTIES RESOURCE_LOCK broker)
  set_property(GLOBAL APPEND PROPERTY COHO_TESTS_WITH_BROKER ${ARGN})
endfunction()
