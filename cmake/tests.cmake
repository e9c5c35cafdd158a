# Copyright 2026 The viva_ros authors
# SPDX-License-Identifier: Apache-2.0

# What 'colcon test' runs: the tests of the parts that watch a robot, in a few minutes. A test file
# whose optional libraries (docs/install.md) are not installed is skipped; its reason names them.
find_package(ament_cmake_pytest REQUIRED)

option(VIVA_ALL_TESTS "Test recording, training, scoring and the demo, too: an hour" OFF)

set(folders core,metrics,engine,data,nodes,bringup,doctor,sim)
if(VIVA_ALL_TESTS)
  set(folders ${folders},advantage,benchmarks,calibration,cli,console,demo,evaluation,examples,export)
  set(folders ${folders},faults,model,scoring,training,visualization,workflow)
endif()

ament_add_pytest_test(pytest test TIMEOUT 7200
  ENV "PYTEST_ADDOPTS=-rs --skip-missing --folders=${folders}")

# Those linters of ROS 2 that this package passes, where they are installed. ament_copyright is not
# among them: it does not read SPDX headers.
foreach(linter flake8 lint_cmake pep257)
  find_package(ament_cmake_${linter} QUIET)
  find_program(ament_${linter}_BIN NAMES ament_${linter})
  if(NOT ament_cmake_${linter}_FOUND OR NOT ament_${linter}_BIN)
    message(STATUS "ament_${linter} is not installed: it is not run")
  elseif(linter STREQUAL "flake8")
    ament_flake8(CONFIG_FILE "${CMAKE_CURRENT_SOURCE_DIR}/.flake8")
  elseif(linter STREQUAL "lint_cmake")
    ament_lint_cmake()
  else()
    ament_pep257()
  endif()
  if(TEST ${linter})
    set_tests_properties(${linter} PROPERTIES TIMEOUT 600)
  endif()
endforeach()
