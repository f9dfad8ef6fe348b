# Functions that every target of the project is made with.

add_library(limosa_flags INTERFACE)
target_compile_options(limosa_flags INTERFACE
  -Wall -Wextra -Wno-unused-parameter
  $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fvisibility-inlines-hidden>)
target_include_directories(limosa_flags INTERFACE
  ${CMAKE_SOURCE_DIR}/include ${CMAKE_BINARY_DIR}/include)

# Apart, for targets with exceptions, which can't have the flags above.
add_library(limosa_sanitizers INTERFACE)
if(LIMOSA_SANITIZE)
  target_compile_options(limosa_sanitizers INTERFACE
    -fsanitize=${LIMOSA_SANITIZE} -fno-sanitize=vptr -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
  target_link_options(limosa_sanitizers INTERFACE -fsanitize=${LIMOSA_SANITIZE})
endif()
target_link_libraries(limosa_flags INTERFACE limosa_sanitizers)

# A static library without LLVM. limosa_library(name SOURCES... [LINK targets])
function(limosa_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ${ARG_LINK} PRIVATE limosa_flags)
  target_include_directories(${name} PUBLIC
    $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>
    $<BUILD_INTERFACE:${CMAKE_BINARY_DIR}/include>)
endfunction()
