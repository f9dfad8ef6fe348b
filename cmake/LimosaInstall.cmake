# cmake --install: the runtime, its headers, find_package(Limosa) and pkg-config.
# Component "runtime" is what a deployed model needs and what examples build
# against.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Limosa)
install(TARGETS limosa EXPORT LimosaTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime)
install(EXPORT LimosaTargets NAMESPACE Limosa:: DESTINATION ${package_dir}
  COMPONENT runtime)
install(FILES
  ${CMAKE_SOURCE_DIR}/include/limosa/limosa.h
  ${CMAKE_SOURCE_DIR}/include/limosa/limosa.hpp
  ${CMAKE_SOURCE_DIR}/include/limosa/device.h
  ${CMAKE_SOURCE_DIR}/include/limosa/operator.h
  ${CMAKE_SOURCE_DIR}/include/limosa/operator.hpp
  ${CMAKE_SOURCE_DIR}/include/limosa/Compiler.h
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/limosa COMPONENT runtime)

configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/LimosaConfig.cmake.in
  ${CMAKE_BINARY_DIR}/LimosaConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/LimosaConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/LimosaConfig.cmake
  ${CMAKE_BINARY_DIR}/LimosaConfigVersion.cmake
  DESTINATION ${package_dir} COMPONENT runtime)

file(RELATIVE_PATH prefix_from_pc "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
configure_file(${CMAKE_SOURCE_DIR}/cmake/limosa.pc.in
  ${CMAKE_BINARY_DIR}/limosa.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/limosa.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT runtime)
