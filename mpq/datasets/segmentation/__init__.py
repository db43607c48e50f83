"""Pictures with masks: what each pixel shows."""
