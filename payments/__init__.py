"""What is owed and paid: paid time, pay rules, dues, ledger, funding, payroll, payslips, payouts."""
