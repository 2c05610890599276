# Every library that Coho uses, as an imported target. Read by Coho's own build and, installed beside CohoConfig.cmake, by
# the builds of its users.
#
#   RocksDB::rocksdb RdKafka::rdkafka httplib::httplib        from hack/deps
#   nlohmann_json::nlohmann_json yaml-cpp prometheus-cpp::core spdlog::spdlog simdjson::simdjson CLI11::CLI11 absl::…
#   OpenSSL::SSL OpenSSL::Crypto Threads::Threads coho::jemalloc
include_guard()

# Where the libraries lie that hack/deps builds. Nothing is fetched or built from here.
if(NOT COHO_DEPS_PREFIX)
  execute_process(COMMAND "${PROJECT_SOURCE_DIR}/hack/deps" --print-prefix
    OUTPUT_VARIABLE COHO_DEPS_PREFIX OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
endif()
if(NOT EXISTS "${COHO_DEPS_PREFIX}")
  message(FATAL_ERROR "${COHO_DEPS_PREFIX} does not exist: run hack/deps")
endif()

find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(ZLIB REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
find_package(nlohmann_json CONFIG REQUIRED)
find_package(simdjson CONFIG REQUIRED)
find_package(spdlog CONFIG REQUIRED)
find_package(yaml-cpp CONFIG REQUIRED)

# No other RocksDB and librdkafka than ours, even if the system has one. Their dependencies' find modules come with them.
list(APPEND CMAKE_MODULE_PATH "${COHO_DEPS_PREFIX}/lib/cmake/RdKafka")
set(RocksDB_DIR "${COHO_DEPS_PREFIX}/lib/cmake/rocksdb")
set(RdKafka_DIR "${COHO_DEPS_PREFIX}/lib/cmake/RdKafka")
find_package(RocksDB CONFIG REQUIRED)
find_package(RdKafka CONFIG REQUIRED)

# Header only; common/http sets its other macros. select(), its default, breaks at the 1024th file descriptor.
if(NOT TARGET httplib::httplib)
  add_library(httplib::httplib INTERFACE IMPORTED)
  target_include_directories(httplib::httplib INTERFACE "${COHO_DEPS_PREFIX}/include")
  target_compile_definitions(httplib::httplib INTERFACE CPPHTTPLIB_USE_POLL)
  target_link_libraries(httplib::httplib INTERFACE OpenSSL::SSL OpenSSL::Crypto Threads::Threads)
endif()

# Debian's CMake config insists on civetweb and curl, which only the parts that we do not use need.
if(NOT TARGET prometheus-cpp::core)
  find_library(COHO_PROMETHEUS_CORE prometheus-cpp-core REQUIRED)
  add_library(prometheus-cpp::core UNKNOWN IMPORTED)
  set_target_properties(prometheus-cpp::core PROPERTIES IMPORTED_LOCATION "${COHO_PROMETHEUS_CORE}")
endif()

# Linked into binaries, not libraries; static, so that an image needs no further file.
if(NOT TARGET coho::jemalloc)
  find_library(COHO_JEMALLOC NAMES libjemalloc_pic.a REQUIRED)
  add_library(coho::jemalloc STATIC IMPORTED)
  set_target_properties(coho::jemalloc PROPERTIES IMPORTED_LOCATION "${COHO_JEMALLOC}")
  target_link_libraries(coho::jemalloc INTERFACE Threads::Threads m ${CMAKE_DL_LIBS})
endif()
