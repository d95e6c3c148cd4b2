/* tally - counts checks, says which failed, and ends with the line `N passed, N failed`. */
export class Tally {
  passed = 0;
  failed = 0;

  check(holds, what) {
    if (holds) this.passed++;
    else {
      this.failed++;
      console.log(`FAILED: ${what}`);
    }
    return holds;
  }

  /** Prints the summary and sets the exit status. A run that checked nothing has failed. */
  end() {
    if (this.passed + this.failed === 0) this.check(false, "nothing was checked");
    console.log(`${this.passed} passed, ${this.failed} failed`);
    process.exitCode = this.failed > 0 ? 1 : 0;
  }
}
