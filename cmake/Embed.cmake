# cmake -DINPUT=page.html -DOUTPUT=page.c -DNAME=page -P Embed.cmake: a file as a C array with a zero behind it.
file(READ ${INPUT} bytes HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
string(REGEX REPLACE "((0x..,){24})" "\\1\n    " bytes "${bytes}")
get_filename_component(from ${INPUT} NAME)
file(WRITE ${OUTPUT} "/* ${from}, by cmake/Embed.cmake. */\nextern const char ${NAME}[];\nconst char ${NAME}[] = {\n    ${bytes}0x00,\n};\n")
