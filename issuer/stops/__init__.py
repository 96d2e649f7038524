"""The emergency stop: no claim is signed and none is issued, until a person lifts it. Revocations go on."""
