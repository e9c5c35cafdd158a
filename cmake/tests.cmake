# What 'colcon test' runs: the tests of the parts that watch a robot, in a few minutes. A test file
# whose optional libraries (docs/install.md) are not installed is skipped; its reason names them.
find_package(ament_cmake_pytest REQUIRED)

option(VIVA_ALL_TESTS "Test recording, training, scoring and the demo, too: an hour" OFF)

set(folders core,data,nodes,runtime,sim)
if(VIVA_ALL_TESTS)
  set(folders ${folders},demo,faults,imports,model,offline)
endif()

ament_add_pytest_test(pytest test TIMEOUT 7200
  ENV "PYTEST_ADDOPTS=-rs --skip-missing --folders=${folders}")
