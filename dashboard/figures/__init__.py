"""Pure pairs: `x_table(...) -> DataFrame` holds the numbers, `x(table) -> plotly Figure` their looks. No Streamlit."""
