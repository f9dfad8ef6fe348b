# Installs the runtime, builds the examples against it with find_package and with
# pkg-config, and runs them.

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result
                  OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${ARGN}\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

function(expect text)
  if(NOT output MATCHES "${text}")
    message(FATAL_ERROR "expected '${text}' in:\n${output}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
set(prefix ${WORK}/prefix)
run(${CMAKE_COMMAND} --install ${BUILD} --component runtime --prefix ${prefix} --strip)
file(SIZE ${prefix}/${LIBDIR}/liblimosa.so size)
if(size GREATER 1048576)
  message(FATAL_ERROR "liblimosa.so takes ${size} bytes, more than a megabyte")
endif()

run(${MAKE_MODEL} ${WORK}/model.lim)
foreach(example c cpp operators)
  run(${CMAKE_COMMAND} -S ${SOURCE}/examples/${example} -B ${WORK}/${example}
      -DCMAKE_PREFIX_PATH=${prefix} -DCMAKE_C_COMPILER=${CC}
      -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_BUILD_TYPE=Release)
  run(${CMAKE_COMMAND} --build ${WORK}/${example})
endforeach()
run(${WORK}/c/run_model ${WORK}/model.lim 20)
expect("y: \\[20\\] 3 3 3 3 3")
run(${WORK}/cpp/describe_model ${WORK}/model.lim 4)
expect("input x \\[N\\]")
expect("first value 9 of 1")

find_program(PKG_CONFIG pkg-config)
if(PKG_CONFIG)
  set(ENV{PKG_CONFIG_PATH} ${prefix}/${LIBDIR}/pkgconfig)
  run(${PKG_CONFIG} --cflags --libs limosa)
  string(STRIP "${output}" flags)
  separate_arguments(flags UNIX_COMMAND "${flags}")
  run(${CC} ${SOURCE}/examples/c/main.c -o ${WORK}/by_pkg_config ${flags}
      -Wl,-rpath,${prefix}/${LIBDIR})
  run(${WORK}/by_pkg_config ${WORK}/model.lim 2)
  expect("y: \\[2\\] 3 3")
endif()
