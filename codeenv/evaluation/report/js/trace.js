// Steps through a recorded trace. Rows are those of codeenv.trace; rows that hold no line are passed over.
function stepper(text, source) {
  return null;
}
