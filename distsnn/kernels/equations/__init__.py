"""Functions that only some texts of users call: an edit compiles these models again, no others."""
