"""What every command shares: flags from dataclasses, one-line errors, settings of the process."""
