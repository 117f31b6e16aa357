"""An executor for tests: every job in a process of its own, by the command line that a cluster would be given."""

import os
import subprocess
from pathlib import Path

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.settings import CommonSettings

common_settings = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    auto_deploy_default_storage_provider=False,
)


class Executor(RemoteExecutor):
    """Runs a submitted job at once and to its end; ``EVO_TEST_ELSEWHERE`` names a folder of modules for it only."""

    def run_job(self, job):
        environment = {**os.environ, "PYTHONPATH": os.environ["EVO_TEST_ELSEWHERE"]}
        with Path(f"submitted.{job.name}.txt").open("w") as output:
            done = subprocess.run(
                self.format_job_exec(job), shell=True, env=environment, stdout=output, stderr=output, check=False
            )
        info = SubmittedJobInfo(job=job)
        self.report_job_submission(info)
        if done.returncode:
            self.report_job_error(info)
        else:
            self.report_job_success(info)

    async def check_active_jobs(self, active_jobs):
        for info in active_jobs:
            yield info

    def cancel_jobs(self, active_jobs):
        """Nothing is left to cancel: a job is over when it is submitted."""
