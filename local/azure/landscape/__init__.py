"""The landscape file, and the resources that it describes in ARM form."""
