# postern_embed(TARGET FILE SYMBOL [NAMESPACE])    the text of FILE as `extern const std::string_view SYMBOL` in TARGET
# The text is in the program, so what is printed and what is enforced cannot part ways with a file on the disk. Declare the
# symbol where it is used. NAMESPACE is postern unless given. The generated source follows FILE when it changes.
set(POSTERN_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/embed_file.cmake)

function(postern_embed target file symbol)
  set(namespace ${ARGN})
  if(NOT namespace)
    set(namespace postern)
  endif()
  get_filename_component(file ${file} ABSOLUTE BASE_DIR ${CMAKE_CURRENT_SOURCE_DIR})
  set(source ${CMAKE_CURRENT_BINARY_DIR}/embedded/${symbol}.cc)
  add_custom_command(
    OUTPUT ${source}
    COMMAND ${CMAKE_COMMAND} -DFILE=${file} -DSYMBOL=${symbol} -DNAMESPACE=${namespace} -DOUTPUT=${source} -P ${POSTERN_EMBED_SCRIPT}
    DEPENDS ${file} ${POSTERN_EMBED_SCRIPT}
    COMMENT "Embedding ${symbol}" VERBATIM)
  target_sources(${target} PRIVATE ${source})
endfunction()
