# ration_room(NAME SOURCES ... [PUBLIC targets] [PRIVATE targets]): one library a room, with an alias ration::NAME.
function(ration_room name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(ration_${name} STATIC ${ARG_SOURCES})
  add_library(ration::${name} ALIAS ration_${name})
  target_include_directories(ration_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(ration_${name} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
  ration_compile_options(ration_${name})
endfunction()

# The language level, warnings and sanitizers that every target of the project shares.
function(ration_compile_options target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wconversion -Wshadow -Wpedantic
                                           -Wno-missing-field-initializers  # options are set by name, the rest defaults
                                           -Wno-restrict  # g++ 12 warns of plain string concatenation
                                           $<$<BOOL:${RATION_WERROR}>:-Werror>)
  if(RATION_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${RATION_SANITIZE} -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=${RATION_SANITIZE})
  endif()
endfunction()

# ration_test(NAME SOURCES ... [LINK targets] [LABELS labels] [SLOW pattern]): one test program; every case carries the labels
# (default fast), those that match the pattern carry slow instead. Sources named *_vectors_test.cc belong into a program of their own with the label vectors.
function(ration_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT;SLOW" "SOURCES;LINK;LABELS" ${ARGN})
  if(NOT ARG_LABELS)
    set(ARG_LABELS fast)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} ration_test_support GTest::gtest GTest::gmock)
  ration_compile_options(${name})
  # Assertions gain nothing from -O3 and cost 2 s a file. At -O1 g++ 12 sees overruns in std::string's own code.
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1 -Wno-array-bounds -Wno-stringop-overflow>)
  if(NOT "ration::train" IN_LIST ARG_LINK)  # those share the trainer's
    target_precompile_headers(${name} REUSE_FROM ration_test_support)
  endif()
  # LibTorch takes a quarter of a second to start: its fast tests share a process, the others have one each.
  if("ration::train" IN_LIST ARG_LINK AND "fast" IN_LIST ARG_LABELS)
    add_test(NAME ${name} COMMAND ${name} --gtest_brief=1)
    set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 300)
    return()
  endif()
  set(all "*")
  if(ARG_SLOW)
    set(all "-${ARG_SLOW}")
    gtest_discover_tests(${name} TEST_FILTER "${ARG_SLOW}" PROPERTIES LABELS slow TIMEOUT 900 DISCOVERY_TIMEOUT 60)
  endif()
  gtest_discover_tests(${name} TEST_FILTER "${all}" PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT}
                       DISCOVERY_TIMEOUT 60)
endfunction()
